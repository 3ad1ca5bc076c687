"""Writes docs/caffe.md from the code: `python docs/make_caffe_md.py`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from caffe_md_deviations import DEVIATIONS  # noqa: E402
from caffe_md_exports import exports  # noqa: E402
from md_text import code, one_line, table  # noqa: E402

import caffe  # noqa: E402
import caffe.draw  # noqa: E402
from caffe import filler, lr_policy, updates  # noqa: E402
from caffe.blob import Blob  # noqa: E402
from caffe.commands import COMMANDS  # noqa: E402
from caffe.layer import LAYER_TYPES, MEANINGS  # noqa: E402
from caffe.unknown_layers import ELSEWHERE  # noqa: E402

# BVLC's names of each tool
TOOLS = dict.fromkeys(("train", "test", "time", "device_query"), "tools/caffe.cpp")
TOOLS |= {
    name: f"tools/{name}.cpp"
    for name in COMMANDS
    if name.startswith(("upgrade", "convert", "compute", "extract"))
}
TOOLS |= {
    "parse_log": "tools/extra/parse_log.py",
    "plot_training_log": "tools/extra/plot_training_log.py.example",
    "classify": "python/classify.py",
    "detect": "python/detect.py",
    "draw_net": "python/draw_net.py",
    "new_layer": "",
    "export": "",
    "import_weights": "",
    "inspect": "",
}

# where -> (object or module here, pycaffe 1.0's public names of it)
PYCAFFE = {
    "caffe": (
        caffe,
        """Net SGDSolver NesterovSolver AdaGradSolver RMSPropSolver AdaDeltaSolver AdamSolver NCCL
        Timer init_log log set_mode_cpu set_mode_gpu set_device Layer get_solver layer_type_list
        set_random_seed solver_count set_solver_count solver_rank set_solver_rank set_multiprocess
        has_nccl TRAIN TEST Classifier Detector io layers params NetSpec to_proto __version__""",
    ),
    "caffe.Net": (
        caffe.Net,
        """forward backward forward_all forward_backward_all set_input_arrays reshape copy_from
        share_with save save_hdf5 load_hdf5 clear_param_diffs before_forward after_forward
        before_backward after_backward _forward _backward _bottom_ids _top_ids""",
    ),
    "caffe.SGDSolver and the others": (
        caffe.SGDSolver,
        "step solve restore snapshot apply_update share_weights add_callback lr",
    ),
    "net.blobs[...]": (Blob, "data diff shape num channels height width count reshape"),
    "caffe.Layer": (caffe.Layer, "type setup reshape forward backward"),
    "caffe.Timer": (caffe.Timer, "start stop ms seconds"),
    "caffe.Classifier": (caffe.Classifier, "predict"),
    "caffe.Detector": (
        caffe.Detector,
        "detect_windows detect_selective_search crop configure_crop",
    ),
    "caffe.io": (
        caffe.io,
        """load_image resize_image oversample Transformer blobproto_to_array array_to_blobproto
        arraylist_to_blobprotovector_str blobprotovector_str_to_arraylist array_to_datum
        datum_to_array""",
    ),
    "caffe.io.Transformer": (
        caffe.io.Transformer,
        """preprocess deprocess set_transpose set_channel_swap set_raw_scale set_mean
        set_input_scale""",
    ),
    "caffe.NetSpec": (caffe.NetSpec, "keys vals update to_proto"),
    "caffe.coord_map": (caffe.coord_map, "coord_map coord_map_from_to crop compose inverse"),
    "caffe.draw": (
        caffe.draw,
        """get_pooling_types_dict get_edge_label get_layer_lr_mult get_layer_label
        choose_color_by_layertype get_pydot_graph draw_net draw_net_to_file""",
    ),
}
# what a net and a solver have besides, once built
ATTRIBUTES = {
    "a net": """blobs params inputs outputs layers layer_dict top_names bottom_names
    blob_loss_weights _blob_names _layer_names _inputs _outputs""",
    "a solver": "net test_nets iter param",
    "a layer": "blobs param_str phase (of a Python layer)",
}


def where(thing):
    """The file that a class or function stands in."""
    return f"`{thing.__module__.replace('.', '/')}.py`"


def fork_layers():
    """(type, class) of the layers of forks: a row for each meaning of a name."""
    for name in sorted({*LAYER_TYPES, *MEANINGS}):
        meanings = MEANINGS.get(name, [])
        if not meanings and LAYER_TYPES[name].fork:
            yield name, LAYER_TYPES[name]
        yield from ((name, cls) for cls in meanings)


def forks():
    """The part of the page on the layers of forks."""
    rows = [
        (f"`{name}`", one_line(cls.__doc__) + told_by(cls), cls.fork, where(cls))
        for name, cls in fork_layers()
    ]
    return f"""\
## Layers of forks

BVLC Caffe 1.0 does not have these; forks of it do. Where forks gave one name several meanings, what a
layer states decides, and where it cannot, the error names them.

{table(["type", "what", "fork", "file"], rows)}

Fillers: {code(name for name, fill in filler.FILLERS.items() if fill.__module__ != filler.__name__)}.

Not built in, and named with their fork when a net asks for them: {code(ELSEWHERE)}.

"""


def told_by(cls):
    """How one meaning of a name is told from the others, in words for the table."""
    return f" Told by {cls.told_by}." if getattr(cls, "told_by", "") else ""


def missing():
    """pycaffe's names that are not here."""
    return [
        f"{place}.{name}"
        for place, (thing, names) in PYCAFFE.items()
        for name in names.split()
        if not hasattr(thing, name)
    ]


def page():
    """The text of docs/caffe.md."""
    layers = [
        (f"`{name}`", one_line(cls.__doc__), where(cls))
        for name, cls in sorted(LAYER_TYPES.items())
        if not cls.fork
    ]
    solvers = [
        (f"`{name}`", one_line(cls.__doc__).replace("*", r"\*"), where(cls))
        for name, cls in updates.SOLVERS.items()
    ]
    tools = [
        (f"`caffe {name}`", about, code(filter(None, [TOOLS[name]])))
        for name, about in COMMANDS.items()
    ]
    names = [(f"`{place}`", code(names.split())) for place, (_, names) in PYCAFFE.items()]
    names += [
        (place, code(re.sub(r"\(.*\)", "", names).split())) for place, names in ATTRIBUTES.items()
    ]
    return f"""\
# Caffe here and BVLC Caffe 1.0

Made by `python docs/make_caffe_md.py` from the code; `tests/docs/test_caffe_md.py` holds it up to date.

## Layers

All {len(layers)} types of BVLC Caffe 1.0, forward and backward, on CPU and CUDA.

{table(["type", "what", "file"], layers)}

Fillers: {code(name for name, fill in filler.FILLERS.items() if fill.__module__ == filler.__name__)}.

{forks()}
## Solvers

{table(["type", "rule: g the gradient, h, k, m, v histories", "file"], solvers)}

Learning-rate policies: {code(lr_policy.LR_POLICIES)}. Regularization: `L2`, `L1`. `clip_gradients`,
`iter_size`, `average_loss`, test nets, `debug_info`, both snapshot formats and `weights` are there.

## Tools

`caffe <command>`, or `python -m caffe <command>`; flags as gflags reads them, log lines as glog writes
them.

{table(["here", "what", "BVLC Caffe"], tools)}

{exports()}
## pycaffe's names

{table(["of", "names"], names)}

`caffe.proto.caffe_pb2` holds every message of `caffe.proto`.

## Where this differs, and why

Numbers do not: Caffe's oddities are kept, and tested against what it computed.

{table(["BVLC Caffe 1.0", "here", "why"], DEVIATIONS)}
"""


if __name__ == "__main__":
    (ROOT / "docs" / "caffe.md").write_text(page())
