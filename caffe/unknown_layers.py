"""What a net asks for and the engine lacks: types of layers, and fields of their settings."""

from collections.abc import Sequence

from .layer import LAYER_TYPES, class_of, describe
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
    "CoupledClusterLoss": "caffe-windows",
    "CustomData": "FlowNet2",
    "DomainTransform": "DeepLab v2",
    "DominantChannel": "DeepLab of 2014",
    "EvalDetection": "YOLO in Caffe (yeahkun/caffe-yolo)",
    "FLOWriter": "FlowNet2",
    "FlowAugmentation": "FlowNet2",
    "GenerateAugmentationParameters": "FlowNet2",
    "ImResize": "OpenPose",
    "ImageLabelData": "dilation (fyu/caffe-dilation)",
    "ImgReader": "FlowNet2",
    "ImgWriter": "FlowNet2",
    "LabelSpecificAdd": "caffe-windows",
    "LabelSpecificMargin": "caffe-windows",
    "LossStatistic": "CCNN",
    "LpqLoss": "FlowNet2",
    "MILLoss": "CCNN",
    "MarginInnerProduct": "SphereFace",
    "MaskedWindowData": "SDS",
    "Mean": "FlowNet2",
    "Nms": "OpenPose",
    "PIWindowData": "SDS",
    "RegionLoss": "YOLOv2 in Caffe",
    "Repack": "CCNN",
    "RunningAverage": "CCNN",
    "SpatialDropout": "intel/caffe",
    "StatisticalLoss": "CCNN",
    "TripletLoss": "caffe-windows",
    "UniqueLabel": "DeepLab of 2014",
    "Unpooling": "DeconvNet",
    "VideoData": "SSD",
    "YoloDetectionOutput": "MobileNet-YOLO",
    "Yolov3": "MobileNet-YOLO",
    "Yolov3DetectionOutput": "MobileNet-YOLO",
}


def check_types(layers: Sequence[caffe_pb2.LayerParameter]) -> None:
    """Raise ValueError if any layer's type is unknown or has fields that the schema lacks.

    One error names all of them.
    """
    unknown = [layer for layer in layers if class_of(layer) is None]
    # the settings of an unknown type are unknown, too; but a missing type may be a misspelt field
    strange = [layer for layer in layers if layer.unread and (class_of(layer) or not layer.type)]
    lines = []
    if unknown:
        many = len(unknown) > 1
        kinds = "layers are of types that are" if many else "layer is of a type that is"
        lines.append(f"{len(unknown)} {kinds} not built in:")
        lines += [f"  {describe(layer)}: {_whose(layer.type)}" for layer in unknown]
        lines.append(
            "write such a layer in Python: `caffe new_layer "
            f"{unknown[0].type or 'NAME'}` prints one to fill in, and its lines for the prototxt"
        )
    if strange:
        lines.append("fields that are not known here:")
        lines += [f"  {describe(layer)}: {text}" for layer in strange for text in layer.unread]
        lines.append("take them out if they make no difference to what the layer computes")
    if lines:
        raise ValueError("\n".join(lines))


def _whose(type_name: str) -> str:
    """What is known of a type that is not built in."""
    if type_name in ELSEWHERE:
        return f"{ELSEWHERE[type_name]} has it"
    hint = did_you_mean(type_name, LAYER_TYPES, "; did you mean {}?", cutoff=0.5)
    return f"unknown layer type; no fork known here has it{hint}"
