"""The layers that forks of Caffe added, a family a file; each class names its fork.

A file is imported when a net first has one of its types: most nets have none.
"""

from ...layer import LAYER_TYPES
from . import fillers  # noqa: F401

# file -> its types, and types of Caffe's that it gives another meaning
FAMILIES = {
    "annotated": ("AnnotatedData",),
    "batch_normalization": ("BN",),
    "crf": ("DenseCRF", "MultiStageMeanfield"),
    "data": ("DenseImageData", "ImageLabelmapData", "ImageSegData"),
    "dropout": ("Dropout",),
    "evaluation": ("DetectionEvaluate",),
    "flow": ("ChannelNorm", "Correlation", "FlowWarp", "L1Loss"),
    "flow_inputs": ("Accum", "DataAugmentation", "Eltwise"),
    "interp": ("Interp", "Padding"),
    "masks": ("MaskPooling", "MaskResize", "ROIWarping"),
    "matlab": ("MatRead", "MatWrite"),
    "multibox": ("MultiBoxLoss",),
    "normalize": ("Normalize",),
    "pixel_losses": ("SigmoidCrossEntropyLoss", "SoftmaxCrossEntropyLoss", "SoftmaxWithLoss"),
    "points": ("SoftmaxWithLossExpectation",),
    "proposal": ("Proposal",),
    "region_losses": ("BoxAnnotatorOHEM", "SmoothL1Loss"),
    "regions": ("PSROIPooling", "ROIPooling"),
    "resampling": ("Downsample", "Resample"),
    "segmentation": ("AdaptiveBiasChannel", "BiasChannel", "SegAccuracy"),
    "small_nets": (
        *("Axpy", "ConvolutionDepthwise", "DepthwiseConvolution", "HardSigmoid", "HardSwish"),
        *("ReLU6", "Reorg", "ShuffleChannel"),
    ),
    "ssd": ("DetectionOutput", "Permute", "PriorBox"),
    "upsample": ("Upsample",),
}

for _file, _types in FAMILIES.items():
    for _type in _types:
        LAYER_TYPES.announce(_type, f"{__name__}.{_file}")
