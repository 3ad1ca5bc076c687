"""How a GPU is handed what it multiplies: number type and layout of maps and weights."""

import torch

from .. import context

# cuDNN takes both and turns one into the other itself where its fastest kernel wants that; who turns
# faster, it or PyTorch, depends on the shape
LAYOUTS = (torch.preserve_format, torch.channels_last)
_PASSES = 3
_fastest = {}


def have_a_choice(x) -> bool:
    """Tensor cores, which TF32 and bf16 ask for, work on channels last."""
    return x.is_cuda and x.dim() == 4 and context.precision() != "float32"


def in_fastest(way, key):
    """way(layout), in the layout that took the least time when `key`, all that matters, was new."""
    key = (*key, context.precision(), context.device())
    if key not in _fastest:
        times = [milliseconds(way, layout) for layout in LAYOUTS]
        _fastest[key] = LAYOUTS[times.index(min(times))]
    return way(_fastest[key])


def milliseconds(way, layout) -> float:
    way(layout)  # cuDNN chooses its algorithm
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(_PASSES):
        way(layout)
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


class Prepared:
    """A parameter in other number types and layouts, each kept until the parameter changes.

    On a GPU alone: on the CPU somebody may hold a view and write unseen.
    """

    def __init__(self, blob):
        self.blob = blob
        self.forget()

    def forget(self):
        self.state, self.forms = None, {}

    def get(self, kind, layout=torch.preserve_format):
        x = self.blob.x
        if not context.is_apart() or (kind, layout) == (x.dtype, torch.preserve_format):
            return x.to(kind, memory_format=layout)
        memory = self.blob._data
        state = memory, memory.version_despite_views()
        if self.state is None or self.state[0] is not memory or self.state[1] != state[1]:
            self.state, self.forms = state, {}
        if (kind, layout) not in self.forms:
            self.forms[kind, layout] = x.to(kind, memory_format=layout)
        return self.forms[kind, layout]
