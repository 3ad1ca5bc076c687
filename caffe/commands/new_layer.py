"""`caffe new_layer`: a Python layer to fill in, for a type that is not built in."""

import keyword
import re
from collections.abc import Sequence

from .flags import ArgumentParser, UsageError

SKELETON = '''"""{name}, as a Python layer: {module}.py, beside your script, on PYTHONPATH
or in a folder given to caffe.allow_python_layers. In the prototxt the layer is

    layer {{
      name: "..."
      type: "{name}"
      bottom: "..."
      top: "..."
      {block} {{ factor: 2.0 }}
    }}

Import this module before the net is built; for the caffe command, and for other processes, name it in
the environment, CAFFE_LAYERS={module}. Or write type: "Python", with
python_param {{ module: "{module}" layer: "{name}" param_str: "{{'factor': 2.0}}" }}.
"""

import ast

import caffe


@caffe.register_layer("{name}")
class {name}(caffe.Layer):
    """y = factor * x, until you write what it is. A bottom's `data` and `diff` are NumPy arrays."""

    deterministic = True  # in phase TEST the tops depend on the bottoms and parameters alone

    def setup(self, bottom, top):
        """Called once. Learned parameters: self.blobs.add_blob(3, 4); self.blobs[0].data[...] = 0."""
        if len(bottom) != 1 or len(top) != 1:
            raise ValueError(f"{name}: one bottom and one top, got {{len(bottom)}} and {{len(top)}}")
        settings = self.settings or ast.literal_eval(self.param_str or "{{}}")
        self.factor = settings.get("factor", 1.0)

    def reshape(self, bottom, top):
        """Called before each forward: the tops' shapes."""
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        """Assign the bottoms' diffs; of a parameter: self.blobs[0].diff[...] += its gradient."""
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff
'''


def new_layer(argv: Sequence[str]) -> int:
    """Print a Python layer to fill in, registered for a type of that name."""
    parser = ArgumentParser("caffe new_layer", description=new_layer.__doc__)
    parser.add_argument("name", help="the layer's class, such as CenterLoss")
    name = parser.parse_args(argv).name
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"a class cannot be called {name!r}: letters, digits and _ make a name")
    print(skeleton(name), end="")
    return 0


def skeleton(name: str) -> str:
    """The text of a module with a Python layer of that name."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+", name) or [name]
    stem = "_".join(words).lower()
    return SKELETON.format(name=name, module=f"{stem}_layer", block=f"{stem}_param")
