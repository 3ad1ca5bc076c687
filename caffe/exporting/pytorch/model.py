"""Nets as PyTorch: a module in one readable file, and its weights beside it."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ...net import Net
from .. import deploy, reasons
from ..sizes import Sizes
from .code import Code, class_name, plain, variables
from .writers import WRITERS

Arrays = Mapping[str, np.ndarray]

_PAGE = '''\
"""{title} in PyTorch, written by `caffe export`; the weights are in {weights}.

    {importing}
    {output} = load()({call})

Layers have the net's names.
"""

import math
from collections.abc import Callable
from pathlib import Path

import torch
{library}from torch import Tensor, nn
from torch.nn import functional as F

{parts}
class {name}(nn.Module):
    """{about}"""

    def __init__(self) -> None:
        super().__init__()
        {modules}

    def forward(self, {inputs}){returns}:
        {forward}


def load(path: str | Path = Path(__file__).with_name({file!r})) -> {name}:
    """The net with its weights, in eval mode."""
    net = {name}()
    net.load_state_dict({read})
    return net.eval()
'''
_READ = {
    ".pth": ("", 'torch.load(path, map_location="cpu", weights_only=True)'),
    ".safetensors": ("from safetensors.torch import load_file\n", "load_file(path)"),
}


class Exported:
    """A net as a module of PyTorch."""

    library = "PyTorch"

    def __init__(self, net: Net, outputs: Sequence[str], sizes: Sizes) -> None:
        """Write the code."""
        self.net, self.outputs, self.sizes = net, outputs, sizes
        self.code = Code()
        lines = []
        for step in deploy.steps(net):
            self.code.begin(step.at)
            bottoms = [
                Code.bottom(f"<{name}>", sizes.base[name], sizes.free[name])
                for name in step.bottoms
            ]
            write = reasons.writer(WRITERS, step, self.library)
            lines.append((step, write(self.code, step.layer, bottoms)))
        self.class_name = class_name(net.name, self.code.parts)
        self.names = variables([*self.code.parts, self.class_name])
        for step, expression in lines:
            for name in step.bottoms:
                expression = expression.replace(f"<{name}>", self.names.of(name))
            self.code.begin(step.at)
            self.code.add([self.names.of(top) for top in step.tops], expression)

    # ---- the files

    def text(self, module: str, weights: str, traced: bool = False) -> str:
        """The file's text; with `traced`, forward keeps every layer's tops."""
        library, read = _READ[os.path.splitext(weights)[1]]
        name = self.class_name
        results = [self.names.of(blob) for blob in self.outputs]
        lines = ["self.trace = trace = {}"] * traced + self.code.forward(traced)
        single = len(results) == 1
        entries = ", ".join(f"{blob!r}: {r}" for blob, r in zip(self.outputs, results))
        lines.append(f"return {results[0]}" if single else f"return {{{entries}}}")
        inputs = [self.names.of(blob) for blob in self.net.inputs]
        importing = f"from {module} import load"
        if not module.isidentifier():
            importing = f'load = runpy.run_path("{module}.py")["load"]'
        text = _PAGE.format(
            title=plain(self.net.name) or name,
            weights=plain(weights),
            file=weights,
            importing=importing,
            output=results[0] if single else "found",
            call=", ".join(inputs),
            library=library,
            parts="".join(f"\n{source}\n\n" for source in self.code.parts.values()),
            name=name,
            about=self.about(),
            modules="\n        ".join(self.code.modules or ["pass"]),
            inputs=", ".join(f"{name}: Tensor" for name in inputs),
            returns=" -> Tensor" if single else " -> dict[str, Tensor]",
            forward="\n        ".join(lines),
            read=read,
        )
        for word, line in (("math.", "import math\n"), ("Callable", _CALLABLE)):
            if word not in text.replace(line, ""):
                text = text.replace(line, "")
        return text

    def about(self) -> str:
        """Inputs and outputs with their shapes in words."""
        sides = [
            ", ".join(f"{plain(blob)} ({self._dims(blob)})" for blob in blobs)
            for blobs in (self.net.inputs, self.outputs)
        ]
        return f"{sides[0]} to {sides[1]}.".lstrip()

    def _dims(self, blob: str) -> str:
        free, shape = self.sizes.free[blob], self.sizes.base[blob]
        words = {0: "N", 2: "H", 3: "W"} if blob in self.net.inputs else {0: "N", 2: "h", 3: "w"}
        return " x ".join(words.get(i, "?") if i in free else str(n) for i, n in enumerate(shape))

    def save(self, path: str, weights: str) -> list[str]:
        """Write the file and the weights, which end in .pth or .safetensors; returns both."""
        module = os.path.splitext(os.path.basename(path))[0]
        with open(path, "w") as file:
            file.write(self.text(module, os.path.basename(weights)))
        if weights.endswith(".safetensors"):
            from safetensors.torch import save_file

            save_file({key: tensor.clone() for key, tensor in self.code.state.items()}, weights)
        else:
            torch.save(self.code.state, weights)
        return [path, weights]

    def runner(self, path: str, weights: str) -> Runner:
        """What runs the file."""
        return Runner(path, weights, self)


def executed(text: str, path: str) -> Any:
    """The function `load` of a file's text, which believes to lie at `path`."""
    module = types.ModuleType("exported")
    module.__file__ = path
    exec(compile(text, path, "exec"), module.__dict__)
    return module.load


_CALLABLE = "from collections.abc import Callable\n"


class Runner:
    """An exported file, imported."""

    library = "PyTorch"

    def __init__(self, path: str, weights: str, exported: Exported) -> None:
        """Import the file and load its weights."""
        self.exported, self.weights = exported, weights
        with open(path) as file:
            self._load = executed(file.read(), path)
        self.module = self.load()

    def load(self) -> Any:
        """The module with its weights, anew."""
        return self._load()

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """The outputs by the blobs' names."""
        return self._run(self.module, inputs)

    def _run(self, module: Any, inputs: Arrays) -> dict[str, np.ndarray]:
        with torch.no_grad():
            found = module(*(torch.from_numpy(inputs[name]) for name in self.exported.net.inputs))
        return {blob: tensor.detach().numpy() for blob, tensor in self.named(found).items()}

    def named(self, found: Any) -> dict[str, torch.Tensor]:
        """What the module returned, by the blobs' names."""
        return found if isinstance(found, dict) else {self.exported.outputs[0]: found}

    def trace(self, inputs: Arrays) -> dict[int, list[np.ndarray]]:
        """The tops of each layer, by its index."""
        text = self.exported.text("traced", os.path.basename(self.weights), traced=True)
        module = executed(text, self.weights)()
        self._run(module, inputs)
        return {i: [tensor.detach().numpy() for tensor in tops] for i, tops in module.trace.items()}
