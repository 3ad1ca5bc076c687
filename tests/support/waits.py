"""Waits: makes an error of whatever would make the host wait for a GPU.

The CPU plays a GPU (the fixture `mock_gpu`): fetching a number and moving a blob
are errors inside `with Waits():`.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from caffe.blob import Memory


class Waits(TorchDispatchMode):
    """Makes an error of whatever would wait for a GPU."""

    FETCHING = {
        "aten::_local_scalar_dense",
        "aten::nonzero",
        "aten::masked_select",
        "aten::equal",
        "aten::is_nonzero",
        "aten::bincount",
        "aten::_unique2",
    }

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()

    def __enter__(self):
        for name in ("tolist", "numpy", "item", "__float__", "__int__", "__bool__"):
            self.patch.setattr(torch.Tensor, name, self.refuse(name))
        self.patch.setattr(Memory, "_update", self.watched(Memory._update))
        return super().__enter__()

    def __exit__(self, *error):
        self.patch.undo()
        return super().__exit__(*error)

    @staticmethod
    def refuse(name):
        def wait(tensor, *args):
            raise AssertionError(f"{name} waits for the device")

        return wait

    @staticmethod
    def watched(update):
        def watch(memory, where, size):
            if memory.newest not in (None, where):
                raise AssertionError(f"values are moved from {memory.newest} to {where}")
            return update(memory, where, size)

        return watch

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().partition(".")[0]
        masks = name in ("aten::index", "aten::index_put_") and any(
            isinstance(i, torch.Tensor) and i.dtype == torch.bool for i in args[1]
        )
        if name in self.FETCHING or masks:
            raise AssertionError(f"{name} waits for the device")
        return function(*args, **(kwargs or {}))
