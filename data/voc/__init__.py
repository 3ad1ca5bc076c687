"""PASCAL VOC 2011 segmentation and SBD, which annotates more of its pictures."""

CLASSES = (
    "background",
    *"aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse".split(),
    *"motorbike person pottedplant sheep sofa train tvmonitor".split(),
)
