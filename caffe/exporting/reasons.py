"""Why some layers are in no target's table: a net computes the same without, or no target has a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DATA = "a data layer: its tops become inputs"
LOSS = "a loss, for training: what it alone reads becomes an output"
# Type -> why no target has it. Without such a layer a net computes the same.
LEFT_OUT = {
    "Accuracy": "a measure, not a part of the net",
    "BoxAnnotatorOHEM": "chooses regions for a training",
    "ContrastiveLoss": LOSS,
    "Data": DATA,
    "DetectionEvaluate": "a measure, not a part of the net",
    "DummyData": DATA,
    "EuclideanLoss": LOSS,
    "HDF5Data": DATA,
    "HDF5Output": "writes a file: what it writes becomes an output",
    "HingeLoss": LOSS,
    "ImageData": DATA,
    "InfogainLoss": LOSS,
    "Input": "its tops are the inputs",
    "MatWrite": "writes files: what it writes becomes an output",
    "MemoryData": DATA,
    "MultinomialLogisticLoss": LOSS,
    "Python": "code of the user's: cut off where the rest goes without it, an error elsewhere",
    "SegAccuracy": "a measure, not a part of the net",
    "SigmoidCrossEntropyLoss": LOSS,
    "Silence": "does nothing; what it swallows is no output",
    "SoftmaxWithLoss": LOSS,
    "WindowData": DATA,
}
# Class of a fork's layer -> why no target has a word for it: an error names it
_LATTICE = "filters on a lattice of positions and colours, for which there are no operators"
NO_WORD = {
    "Accum": "joins maps of FlowNet2, whose other layers have no words",
    "AdaptiveBiasChannel": "for weakly labelled training",
    "BiasChannel": "for weakly labelled training",
    "CCNNCRF": _LATTICE,
    "Correlation": "products of shifted maps, hundreds of them",
    "DataAugmentation": "learns the mean that it subtracts as it goes",
    "DeepLabCRF": _LATTICE,
    "DetectionOutput": "boxes that suppress each other: nearly equal scores would change all rows",
    "Downsample": "weighted means that pass by NaN",
    "FlowWarp": "reads a map at positions that another states",
    "MaskResize": "resizes by a rule of its own",
    "MultiStageMeanfield": _LATTICE,
    "PSROIPooling": "pools each cell from channels of its own",
    "Proposal": "boxes that suppress each other",
    "ROIWarping": "samples as many points as a region is large",
    "Resample": "resizes by rules of its own",
}


def left_out(type_name: str) -> str:
    """Why no target has a layer of this type; "" if one may have it. A fork's loss is a loss, too."""
    return LEFT_OUT.get(type_name) or (LOSS if "Loss" in type_name else "")


def writer(writers: Mapping[str, Any], step: Any, target: str) -> Any:
    """The row of a layer (a deploy.Placed) in a target's table. ValueError where it has no word for it.

    A type to which forks gave several meanings has a class for each, and a row for each class.
    """
    found = writers.get(type(step.layer).__name__)
    if found is None:
        why = NO_WORD.get(type(step.layer).__name__, "")
        raise step.layer.error(
            f"{target} has no word for this type{why and f' ({why})'}. Way out: export the part before "
            f"it (outputs: {', '.join(step.bottoms)}) and the part behind it (inputs: "
            f"{', '.join(step.tops)})"
        )
    return found
