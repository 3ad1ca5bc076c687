"""The net's graph before it is built: which layers are in, and where blobs are copied.

Pure functions from NetParameter to NetParameter: Net::FilterNet in net.cpp, insert_splits.cpp.
"""

from collections import Counter, defaultdict

from caffe.glog import info
from caffe.names import did_you_mean
from caffe.proto import caffe_pb2


def filter_net(param: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """The net without the layers that its `state` and their include/exclude rules leave out.

    A layer's own `phase` is no rule. ValueError for a layer with both kinds of rules.
    """
    kept = caffe_pb2.NetParameter()
    kept.CopyFrom(param)
    del kept.layer[:]
    kept.layer.extend(layer for layer in param.layer if _is_included(layer, param.state))
    return kept


def _is_included(layer, state):
    if layer.include and layer.exclude:
        raise ValueError(
            f"layer '{layer.name}' ({layer.type}): both include and exclude; state one kind of rule"
        )
    if layer.include:
        return any(_meets(state, rule, layer.name) for rule in layer.include)
    return not any(_meets(state, rule, layer.name) for rule in layer.exclude)


def _meets(state, rule, name):
    """Whether the state is as the rule says; if not, logs the first reason in Caffe's words."""
    about = f"specified by a rule in layer {name}"
    if rule.HasField("phase") and rule.phase != state.phase:
        text = f"The NetState phase ({state.phase}) differed from the phase ({rule.phase}) {about}"
        info("net.cpp:296", text)
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        text = (
            f"The NetState level ({state.level}) is above the min_level ({rule.min_level}) {about}"
        )
        info("net.cpp:306", text)
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        text = (
            f"The NetState level ({state.level}) is above the max_level ({rule.max_level}) {about}"
        )
        info("net.cpp:316", text)
        return False
    for stage in rule.stage:
        if stage not in state.stage:
            info("net.cpp:332", f"The NetState did not contain stage '{stage}' {about}")
            return False
    for stage in rule.not_stage:
        if stage in state.stage:
            info("net.cpp:348", f"The NetState contained a not_stage '{stage}' {about}")
            return False
    return True


def split_layer_name(blob: str, writer: str, top_index: int) -> str:
    """Name of the Split behind a blob; its tops add `_0`, `_1`, ..."""
    return f"{blob}_{writer}_{top_index}_split"


def insert_splits(
    param: caffe_pb2.NetParameter, whole: caffe_pb2.NetParameter | None = None
) -> caffe_pb2.NetParameter:
    """The net with a Split behind every blob that is read more than once after its last writer.

    In-place layers are writers. A stated, non-zero loss weight is a reader too, the first: it moves
    from its layer to the Split's first top, and the layer loses all its weights (as in Caffe).
    ValueError for a bottom that no earlier layer computes; `whole`, the net before `filter_net`, is
    for the error.
    """
    sources, readers, weights = _trace(param, whole or param)
    split = caffe_pb2.NetParameter()
    split.CopyFrom(param)
    del split.layer[:]
    handed_out: dict[object, int] = defaultdict(int)  # source -> copies in use so far
    for i, original in enumerate(param.layer):
        layer = split.layer.add()
        layer.CopyFrom(original)
        for j, blob in enumerate(original.bottom):
            source = sources[i, j]
            if readers[source] > 1:
                name = split_layer_name(blob, param.layer[source[0]].name, source[1])
                layer.bottom[j] = f"{name}_{handed_out[source]}"
                handed_out[source] += 1
        for j, blob in enumerate(original.top):
            if readers[i, j] > 1:
                weight = weights.get((i, j), 0)
                _add_split(
                    split, blob, split_layer_name(blob, original.name, j), readers[i, j], weight
                )
                if weight:
                    del layer.loss_weight[:]
                    handed_out[i, j] += 1
    return split


def _add_split(net, blob, name, count, weight):
    split = net.layer.add(name=name, type="Split", bottom=[blob])
    split.top.extend(f"{name}_{k}" for k in range(count))
    if weight:
        split.loss_weight.extend([weight] + [0] * (count - 1))


def _trace(param, whole):
    """(layer, bottom) -> (layer, top) that last wrote it; readers per such top; loss weights."""
    last, sources, readers, weights = {}, {}, Counter(), {}
    for i, layer in enumerate(param.layer):
        for j, blob in enumerate(layer.bottom):
            if blob not in last:
                raise ValueError(_unknown_bottom(param, i, j, last, whole))
            sources[i, j] = last[blob]
            readers[last[blob]] += 1
        for j, blob in enumerate(layer.top):
            last[blob] = (i, j)
        for blob, weight in zip(layer.top, layer.loss_weight, strict=False):
            weights[last[blob]] = weight
            readers[last[blob]] += weight != 0
    return sources, readers, weights


def _unknown_bottom(param, i, j, known, whole):
    layer, blob = param.layer[i], param.layer[i].bottom[j]
    text = (
        f"layer '{layer.name}' ({layer.type}): bottom {j}: no blob '{blob}' is computed before it"
    )
    later = [other.name for other in param.layer[i:] if blob in other.top]
    if later:
        return f"{text}, only later, by layer '{later[0]}'; move that layer up"
    left_out = [other for other in whole.layer if blob in other.top]
    if left_out:
        return f"{text}: {_why_left_out(left_out[0], param.state)}"
    hint = did_you_mean(blob, known, "; the nearest known is '{}'")
    return text + (hint or f"; known: {', '.join(known) or 'none, for no layer stands before'}")


def _why_left_out(layer, state):
    """Which rules of a layer leave it out of a net of that state."""
    rules = layer.include or [rule for rule in layer.exclude if _meets(state, rule, layer.name)]
    kind = "include" if layer.include else "exclude"
    shown = " or ".join(f"{kind} {{ {' '.join(str(rule).split())} }}" for rule in rules)
    stages = ", ".join(state.stage)
    return (
        f"layer '{layer.name}' ({layer.type}) makes it, and is left out of this net (phase "
        f"{caffe_pb2.Phase.Name(state.phase)}, level {state.level}, "
        f"{f'stage {stages}' if stages else 'no stage'}) by its {shown}"
    )
