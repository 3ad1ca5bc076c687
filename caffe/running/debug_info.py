"""What `debug_info: true` logs: mean magnitudes of blobs and parameters (Net::*DebugInfo in net.cpp)."""

from ..glog import error, info, number


def _mean_magnitude(tensor):
    count = tensor.numel()
    return number(float(tensor.abs().sum()) / count) if count else "nan"


def forward(net, index):
    """After a layer's forward: its tops and parameters."""
    layer = net.layers[index]
    name, specs = layer.layer_param.name, layer.layer_param.param
    for i, blob in zip(net._top_index[index], net._tops[index]):
        mean = _mean_magnitude(blob.x)
        info(
            "net.cpp:591", f"    [Forward] Layer {name}, top blob {net._blob_names[i]} data: {mean}"
        )
    for i, blob in enumerate(layer.blobs):
        shown = specs[i].name if i < len(specs) and specs[i].name else i
        mean = _mean_magnitude(blob.x)
        info("net.cpp:603", f"    [Forward] Layer {name}, param blob {shown} data: {mean}")


def backward(net, index):
    """After a layer's backward: the diffs of its bottoms and parameters, where there are any."""
    layer = net.layers[index]
    name, needed = layer.layer_param.name, net._bottom_need_backward[index]
    for i, blob, need in zip(net._bottom_index[index], net._bottoms[index], needed):
        if need:
            text = f"bottom blob {net._blob_names[i]} diff: {_mean_magnitude(blob.dx)}"
            info("net.cpp:619", f"    [Backward] Layer {name}, {text}")
    for i, blob in enumerate(layer.blobs):
        if layer.param_propagate_down[i]:
            text = f"param blob {i} diff: {_mean_magnitude(blob.dx)}"
            info("net.cpp:630", f"    [Backward] Layer {name}, {text}")


def norms(net):
    """After a whole backward: the norms over all parameters."""
    sides = [[blob.x for blob in net.learnable_params], [blob.dx for blob in net.learnable_params]]
    l1 = [number(sum(float(t.abs().sum()) for t in side)) for side in sides]
    l2 = [number(sum(float(t.square().sum()) for t in side) ** 0.5) for side in sides]
    error(
        "net.cpp:676",
        f"    [Backward] All net params (data, diff): L1 norm = ({l1[0]}, {l1[1]}); "
        f"L2 norm = ({l2[0]}, {l2[1]})",
    )
