"""What a net asks for and the engine lacks: types of layers, and fields of their settings."""

import re
from collections.abc import Sequence

from .layer import LAYER_TYPES, OWN_TYPES, class_of, describe
from .names import did_you_mean
from .proto import caffe_pb2

# type -> the fork that has it; none of these is built in
ELSEWHERE = {
    "AccuracyByClass": "caffe-windows",
    "BinLabelData": "dilation (fyu/caffe-dilation)",
    "BlackAugmentation": "FlowNet2",
    "BoxOutput": "MS-CNN",
    "CensorLabel": "DeepLab of 2014",
    "CenterLoss": "caffe-face",
    "ContrastiveAccuracy": "caffe-windows",
    "Convolution3D": "C3D",
    "ConvolutionRistretto": "Ristretto",
    "CoupledClusterLoss": "caffe-windows",
    "CustomData": "FlowNet2",
    "DeconvolutionRistretto": "Ristretto",
    "DeformableConvolution": "Deformable ConvNets in Caffe",
    "DetectionLoss": "YOLO in Caffe (xingwangsfu/caffe-yolo)",
    "DomainTransform": "DeepLab v2",
    "DominantChannel": "DeepLab of 2014",
    "EvalDetection": "YOLO in Caffe (yeahkun/caffe-yolo)",
    "FLOWriter": "FlowNet2",
    "FcRistretto": "Ristretto",
    "FlowAugmentation": "FlowNet2",
    "FocalLoss": "Focal Loss in Caffe (zimenglan-sysu-512)",
    "GenerateAugmentationParameters": "FlowNet2",
    "ImResize": "OpenPose",
    "ImageLabelData": "dilation (fyu/caffe-dilation)",
    "ImgReader": "FlowNet2",
    "ImgWriter": "FlowNet2",
    "LRNRistretto": "Ristretto",
    "LabelSpecificAdd": "caffe-windows",
    "LabelSpecificMargin": "caffe-windows",
    "LossStatistic": "CCNN",
    "LpqLoss": "FlowNet2",
    "Lstm": "caffe-lstm (junhyukoh)",
    "MIL": "visual-concepts (s-gupta)",
    "MILData": "visual-concepts (s-gupta)",
    "MILLoss": "CCNN",
    "MarginInnerProduct": "SphereFace",
    "MaskedWindowData": "SDS",
    "Mean": "FlowNet2",
    "Nms": "OpenPose",
    "PIWindowData": "SDS",
    "PSROIAlign": "R-FCN with RoI Align",
    "Pooling3D": "C3D",
    "ROIAlign": "Mask R-CNN in Caffe",
    "RegionLoss": "YOLOv2 in Caffe",
    "Repack": "CCNN",
    "RunningAverage": "CCNN",
    "SpatialDropout": "intel/caffe",
    "SpatialTransformer": "SpatialTransformerLayer (daerduoCarey)",
    "StatisticalLoss": "CCNN",
    "TripletLoss": "caffe-windows",
    "UniqueLabel": "DeepLab of 2014",
    "Unpooling": "DeconvNet",
    "VideoData": "SSD",
    "VolumeData": "C3D",
    "YoloDetectionOutput": "MobileNet-YOLO",
    "Yolov3": "MobileNet-YOLO",
    "Yolov3DetectionOutput": "MobileNet-YOLO",
}
# field of a layer, or of its settings -> the fork that has it, where the type's name does not tell
FIELDS_ELSEWHERE = {
    "backward_math": "NVCaffe",
    "backward_type": "NVCaffe",
    "cudnn_math_override": "NVCaffe",
    "forward_math": "NVCaffe",
    "forward_type": "NVCaffe",
    "img_rand_resize_lower": "NVCaffe",
    "img_rand_resize_upper": "NVCaffe",
    "kernel_depth": "C3D",
    "lstm_param": "caffe-lstm (junhyukoh)",
    "max_brightness_shift": "caffe-augmentation (kevinlin311tw)",
    "max_color_shift": "caffe-augmentation (kevinlin311tw)",
    "max_smooth": "caffe-augmentation (kevinlin311tw)",
    "mil_data_param": "visual-concepts (s-gupta)",
    "mil_param": "visual-concepts (s-gupta)",
    "parser_threads": "NVCaffe",
    "quantization_param": "Ristretto",
    "scale_bias": "NVCaffe",
    "smooth_filtering": "caffe-augmentation (kevinlin311tw)",
    "st_param": "SpatialTransformerLayer (daerduoCarey)",
    "temporal_stride": "C3D",
    "use_gpu_transform": "NVCaffe",
}
# fields of the old format, which says `layers`, in a layer of today's
OLD_FIELDS = {
    "blob_share_mode": "param { share_mode: ... }",
    "blobs_lr": "param { lr_mult: ... }, once for each parameter",
    "weight_decay": "param { decay_mult: ... }, once for each parameter",
}
_BLOCKS_ELSEWHERE = {f"{name}param".lower(): fork for name, fork in ELSEWHERE.items()}


def check_types(layers: Sequence[caffe_pb2.LayerParameter]) -> None:
    """Raise ValueError if any layer's type is unknown or has fields that the schema lacks.

    One error names all of them.
    """
    unknown = [layer for layer in layers if class_of(layer) is None]
    # the settings of an unknown type are unknown, too; but a missing type may be a misspelt field
    strange = [layer for layer in layers if _strange(layer) and (class_of(layer) or not layer.type)]
    lines = []
    if unknown:
        many = len(unknown) > 1
        kinds = "layers are of types that are" if many else "layer is of a type that is"
        lines.append(f"{len(unknown)} {kinds} not built in:")
        lines += [f"  {describe(layer)}: {_whose(layer.type)}" for layer in unknown]
        lines.append(
            "write such a layer in Python: `caffe new_layer "
            f"{unknown[0].type or 'NAME'}` prints one to fill in, registered for the type "
            "(@caffe.register_layer), so that the prototxt stays as it is"
        )
    if strange:
        lines.append("fields that are not known here:")
        lines += [f"  {describe(layer)}: {text}" for layer in strange for text in _strange(layer)]
        lines.append(
            "take them out if they make no difference to what the layer computes; else a class of "
            "your own, registered for the type (@caffe.register_layer), is given them"
        )
    if lines:
        raise ValueError("\n".join(lines))


def _strange(layer: caffe_pb2.LayerParameter) -> list[str]:
    """What is said of a layer's fields that nobody reads; a registered class reads all blocks."""
    own = layer.type in OWN_TYPES
    return [
        _with_its_fork(said)
        for said, text in zip(layer.unread, layer.unread_text)
        if not (own and re.match(r"\w+_param\b", text))
    ]


def _with_its_fork(said: str) -> str:
    """What is said of a field, and who has it, where that is known, instead of a similar name."""
    field = re.search(r" has no field '(\w+)'", said)
    name = field[1] if field else ""
    today = OLD_FIELDS.get(name)
    fork = FIELDS_ELSEWHERE.get(name) or _BLOCKS_ELSEWHERE.get(name.replace("_", ""))
    if not today and not fork:
        return said
    known = f"of the old format, today {today}" if today else f"{fork} has it"
    return f"{said.partition('; did you mean')[0]}; {known}"


def _whose(type_name: str) -> str:
    """What is known of a type that is not built in."""
    if type_name in ELSEWHERE:
        return f"{ELSEWHERE[type_name]} has it"
    hint = did_you_mean(type_name, LAYER_TYPES, "; did you mean {}?", cutoff=0.5)
    return f"unknown layer type; no fork known here has it{hint}"
