"""PASCAL-Context (Mottaghi et al.): every pixel of VOC2010's pictures labelled."""

CLASSES = (
    "background",
    *"aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse".split(),
    *"motorbike person pottedplant sheep sofa train tvmonitor bag bed bench book building".split(),
    *"cabinet ceiling clothes computer cup door fence floor flower food grass ground".split(),
    *"keyboard light mountain mouse curtain platform sign plate road rock shelves".split(),
    *"sidewalk sky snow bedcloth track tree truck wall water window wood".split(),
)
# The task's spelling -> the spelling in the list of all 459 labels.
MAIN_NAMES = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
