"""A stand-in for CUDA graphs on the CPU: passes are recorded kernel by kernel and launched again.

It lists the kernels that a pass launches, without running those that write, and runs the list when
asked, on the same memory and behind PyTorch's back. What that gets right is all but CUDA itself.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


class Kernels(TorchDispatchMode):
    """Lists what is launched."""

    def __init__(self):
        super().__init__()
        self.launched = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        schema = function._schema
        returns = [r.alias_info for r in schema.returns]
        if any(alias and not alias.is_write for alias in returns):  # a view: no kernel
            return function(*args, **kwargs)
        written = [
            kwargs[a.name] if a.name in kwargs else args[i]
            for i, a in enumerate(schema.arguments)
            if a.alias_info and a.alias_info.is_write and (a.name in kwargs or i < len(args))
        ]
        if written:  # it does not run yet
            self.launched.append((function, args, kwargs, None))
            return written[0] if len(written) == 1 else tuple(written)
        result = function(*args, **kwargs)
        for part in torch.utils._pytree.tree_leaves(result):
            if isinstance(part, torch.Tensor):
                part.fill_(float("nan") if part.is_floating_point() else 0)  # nothing was computed
        self.launched.append((function, args, kwargs, result))
        return result

    def launch(self):
        for function, args, kwargs, result in self.launched:
            unseen = tree_map_only(torch.Tensor, lambda x: x.data, (args, kwargs))
            again = function(*unseen[0], **unseen[1])
            if result is not None:
                for old, new in zip(*map(torch.utils._pytree.tree_leaves, (result, again))):
                    if isinstance(old, torch.Tensor):
                        old.data.copy_(new)


class Recorder:
    """Takes the place of `cuda_graphs.record`; counts captures and launches."""

    def __init__(self):
        self.captured = self.launched = 0

    def __call__(self, run):
        with Kernels() as kernels:
            result = run()
        self.captured += 1

        def launch():
            self.launched += 1
            kernels.launch()

        return result, launch
