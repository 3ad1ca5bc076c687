"""Maps that do not stay: in a TEST net later ones take over their memory, a TRAIN net computes them
again in backward. And what a net's memory is used for, layer by layer."""

import torch

from .. import context
from ..blob import Memory
from ..layer import LAYER_TYPES
from ..layers import conv, eltwise, inner_product, lrn, neuron, norm, pooling, scale, shape, softmax

# Layers that can compute their tops a second time, without a trace, and what their forward leaves on
# them for backward: attribute -> bytes a value of the top. (What is drawn at random needs the
# generator as it was.)
REPEATABLE = {
    **dict.fromkeys((conv.Convolution, conv.Deconvolution, inner_product.InnerProduct), {}),
    **dict.fromkeys((shape.Split, shape.Concat, shape.Slice, shape.Crop, shape.Tile), {}),
    **dict.fromkeys((shape.Flatten, shape.Reshape, scale.Bias, softmax.Softmax), {}),
    **dict.fromkeys((neuron.ReLU, neuron.ELU, neuron.Sigmoid, neuron.TanH, neuron.Power), {}),
    **dict.fromkeys((neuron.AbsVal, neuron.BNLL, neuron.Clip, neuron.Exp, neuron.Log), {}),
    neuron.Swish: {"gate": 4},
    neuron.PReLU: {"before": 4},
    neuron.Dropout: {"mask": 4},
    pooling.Pooling: {"position": 8},
    lrn.LRN: {"scale": 4},
    norm.MVN: {"std": 0},
    norm.BatchNorm: {"std": 0, "normed": 4},
    scale.Scale: {"before": 4},
    eltwise.Eltwise: {"winner": 8},
}


def shared(net, side):
    """For each blob the first of those whose data ("data") or diffs ("diff") it shares."""
    roots = list(range(len(net._blobs)))
    for layer, bottoms, tops in zip(net.layers, net._bottom_index, net._top_index):
        alone = len(bottoms) == len(tops) == 1
        if (
            isinstance(layer, (shape.Flatten, shape.Reshape))
            or (isinstance(layer, shape.AlongAxis) and alone)
            or (isinstance(layer, shape.Split) and side == "data")
        ):
            for i in tops:
                roots[i] = roots[bottoms[0]]
    return roots


def built_in(layer):
    return LAYER_TYPES.get(layer.type) is type(layer) and type(layer).__module__.startswith(
        "caffe.layers."
    )


class Whole:
    """A net keeps all maps; what its memory is used for, layer by layer."""

    def __init__(self, net, keep=()):
        self.net = net
        self.keep = keep
        self.asked = set()  # names that the pass's caller wants returned
        self.first, self.last = lifetimes(net)
        self.fixed = {*net._inputs, *net._outputs} | fixed_tops(net)

    def stays(self, i):
        """Whether a blob keeps its values."""
        return True

    def spans(self, sizes, side, stays, ids):
        """(bytes, first layer, last layer, whether it stays) of each memory that blobs have."""
        found = {}
        roots = shared(self.net, side)
        for i in ids:
            size, first, last, stayed = found.get(roots[i], (0, self.first[i], 0, False))
            ends = max(last, self.last[i]), stayed or stays(i)
            found[roots[i]] = (max(size, sizes[i]), min(first, self.first[i]), *ends)
        return list(found.values())

    def maps(self, sizes):
        """Bytes of the maps that are there at once, from those of each blob."""
        return self.most(self.spans(sizes, "data", self.stays, range(len(sizes))))

    def diffs(self, sizes):
        return self.most(self.spans(sizes, "diff", self.keeps_diff, self.with_diffs()))

    def keeps_diff(self, i):
        return True

    def with_diffs(self):
        """Tops, whose diffs are read, and bottoms, whose are written."""
        net, found = self.net, set()
        rows = zip(
            net._layer_need_backward, net._top_index, net._bottom_index, net._bottom_need_backward
        )
        for needed, tops, bottoms, flags in rows:
            if needed:
                found.update(tops, (i for i, flag in zip(bottoms, flags) if flag))
        return found

    def most(self, spans):
        return max(
            sum(size for size, first, last, stays in spans if stays or first <= at <= last)
            for at in range(len(self.net.layers))
        )

    def left(self, counts):
        """Bytes of what layers leave on themselves for backward, from the blobs' counts."""
        return sum(self.left_by(counts))

    def left_by(self, counts):
        return [
            sum(REPEATABLE.get(type(layer), {}).values()) * (counts[ids[0]] if ids else 0)
            for layer, ids in zip(self.net.layers, self.net._top_index)
        ]


class Sparing(Whole):
    """What `Net.reuse_memory` and `Net.recompute` have in common: maps are given up when they have
    been read, and got anew in the next pass.

    Blobs may share memory (Split, Reshape and others): it is given up when none of them is needed.
    """

    pool = None

    def begin(self, start, end):
        """Before a pass over layers start..end: what they make gets memory anew."""
        for blob, first in zip(self.net._blobs, self.first):
            if start <= first <= end:
                if blob._data.lost:
                    blob._data = Memory(0, self.pool)  # of the size that the layer's reshape says
                if blob._diff.lost:
                    blob._diff = Memory(0)

    def before_forward(self, index):
        """Before a layer's forward."""

    def let_go(self, side, ids, over, stays):
        """Give up the memory of blobs, where that goes for all that share it."""
        blobs = self.net._blobs
        for memory in {id(m): m for m in (getattr(blobs[i], side) for i in ids)}.values():
            sharing = [i for i, blob in enumerate(blobs) if getattr(blob, side) is memory]
            if all(over(i) and not stays(i) for i in sharing):
                memory.give_up(self.reason([self.net._blob_names[i] for i in sharing]))

    def strip(self, index):
        """Drop what a layer's forward left for backward."""
        layer = self.net.layers[index]
        for name in REPEATABLE.get(type(layer), ()):
            setattr(layer, name, None)

    def is_kept(self, i):
        name = self.net._blob_names[i]
        return i in self.fixed or name in self.keep or name in self.asked


class Pool:
    """Memory that maps have given back, for later maps: the smallest block that fits.

    On the CPU, where fresh memory costs about as much as computing a map does; PyTorch has a pool of
    its own for GPUs.
    """

    def __init__(self):
        self.free = []  # (device, block)
        self.wanted = 0  # values of the largest map of this pass

    def take(self, size, dtype, device):
        self.wanted = max(self.wanted, size)
        mine = [
            (block.numel(), i)
            for i, (where, block) in enumerate(self.free)
            if where == device and block.dtype == dtype
        ]
        fitting = [entry for entry in mine if entry[0] >= size]
        if fitting:
            return self.free.pop(min(fitting)[1])[1]
        if mine:  # a larger one takes its place
            self.free.pop(max(mine)[1])
        block = torch.empty(size, dtype=dtype, device=device)
        block.pool = self
        return block

    def give(self, block, device):
        # what a layer made itself it will make again: that would pile up here
        if device.type == "cpu" and getattr(block, "pool", None) is self:
            self.free.append((device, block))

    def trim(self):
        """Forget blocks that are larger than any map was since the last call."""
        self.free = [entry for entry in self.free if entry[1].numel() <= self.wanted]
        self.wanted = 0


class Reuse(Sparing):
    """What `Net.reuse_memory` asked for: after its last reader has run, a map gives up its memory."""

    def __init__(self, net, keep=()):
        super().__init__(net, keep)
        self.pool = Pool()

    def start(self):
        """Take what is there from a net that kept it."""
        for index in range(len(self.net.layers)):
            self.after_forward(index)

    def stays(self, i):
        return self.is_kept(i)

    def begin(self, start, end):
        self.pool.trim()
        super().begin(start, end)

    def after_forward(self, index):
        """After a layer's forward, when all have seen its tops."""
        ended = (i for i, last in enumerate(self.last) if last == index)
        self.let_go("_data", ended, lambda i: self.last[i] <= index, self.stays)
        self.strip(index)

    def begin_backward(self, start, end):
        raise RuntimeError(
            f"net {self.net.name!r} has no backward: reuse_memory() gave away the maps that it needs. "
            "A second net, on these weights by share_with(), keeps its own"
        )

    def reason(self, names):
        one = " and ".join(map(repr, names))
        return (
            f"blob {one}: its memory was reused, as reuse_memory() of net {self.net.name!r} wants it; to "
            f"read it after a forward: reuse_memory(keep=[{names[0]!r}]), or forward(blobs=[{names[0]!r}])"
        )


class Recompute(Sparing):
    """What `Net.recompute` asked for: maps inside a segment of layers are given up in forward, and
    computed again before the segment's backward; what goes from one segment to another is kept.

    Exact: layers that draw at random find the generator as it was, and statistics that a forward adds
    to are put back. Only layers in REPEATABLE run twice.
    """

    def __init__(self, net, keep=()):
        super().__init__(net, keep)
        self.roots = shared(net, "data")
        self.segments = self.plan()
        self.segment_of = {i: k for k, segment in enumerate(self.segments) for i in segment}
        self.dropped, self.repeated = self.droppable(self.segments)
        self.generators = {}  # layer -> the random generator before its forward
        self.bare = set()  # layers that have lost what their forward left for backward
        self.current = None  # the segment whose maps are there

    # ---- the plan

    def plan(self):
        """The segments, for the least bytes at once: what is kept and the largest segment's own."""
        sizes = [blob._count for blob in self.net._blobs]
        left = [size / 4 for size in self.left_by(sizes)]
        spans = self.spans(sizes, "data", lambda i: i in self.fixed, range(len(sizes)))
        free = [span for span in spans if not span[3]]
        inner, crossing = self.costs(free, left)
        total = sum(size for size, *_ in free) + sum(left)
        plans = [self.cut(total * 0.75**k, inner, crossing) for k in range(20)]
        return min(plans, key=lambda plan: self.peak(plan, sizes, left))

    def costs(self, spans, left):
        """inner[a][b]: what belongs to layers a..b alone; crossing[b]: what later layers read of b and
        those before."""
        count = len(self.net.layers)
        ending = [[] for _ in range(count)]
        crossing = [0] * count
        for size, first, last, _ in spans:
            ending[last].append((first, size))
            for at in range(first, last):
                crossing[at] += size
        inner = []
        for a in range(count):
            row, own = {}, 0
            for b in range(a, count):
                own += left[b] + sum(size for first, size in ending[b] if first >= a)
                row[b] = own
            inner.append(row)
        return inner, crossing

    def cut(self, limit, inner, crossing):
        """The segments of no more than `limit` inside, between which the least is kept."""
        count = len(crossing)
        best = [(0, None)]  # for layers before b: (kept, where the last segment begins)
        for b in range(count):
            options = (
                (best[a][0] + (crossing[b] if b + 1 < count else 0), a)
                for a in range(b + 1)
                if inner[a][b] <= limit or a == b
            )
            best.append(min(options))
        segments, end = [], count
        while end:
            start = best[end][1]
            segments.insert(0, range(start, end))
            end = start
        return segments

    def peak(self, segments, sizes, left):
        dropped, repeated = self.droppable(segments)
        kept, inner = self.kept_and_inner(segments, sizes, dropped)
        kept += sum(size for i, size in enumerate(left) if i not in repeated)
        inner = [
            size + sum(left[i] for i in segment if i in repeated)
            for size, segment in zip(inner, segments)
        ]
        return kept + max(inner)

    def kept_and_inner(self, segments, sizes, dropped):
        """Sizes of all maps that are kept, and of each segment's that are not."""
        segment_of = {i: k for k, segment in enumerate(segments) for i in segment}
        kept, inner = 0, [0] * len(segments)
        spans = self.spans(sizes, "data", lambda i: i not in dropped, range(len(sizes)))
        for size, first, _, stays in spans:
            if stays:
                kept += size
            else:
                inner[segment_of[first]] += size
        return kept, inner

    def droppable(self, segments):
        """(blobs that may be given up, layers that bring them back); blobs that share are as one."""
        net, roots = self.net, self.roots
        segment_of = {i: k for k, segment in enumerate(segments) for i in segment}
        kept = {root for i, root in enumerate(roots) if self.is_kept(i)}
        within, writers = {}, {root: set() for root in roots}
        for i, root in enumerate(roots):
            ends = segment_of[self.first[i]], segment_of[self.last[i]]
            within.setdefault(root, set()).update(ends)
        for index, (bottoms, tops) in enumerate(zip(net._bottom_index, net._top_index)):
            for i in tops:
                alias = i not in bottoms and roots[i] in (roots[j] for j in bottoms)
                if not alias:  # Split and others write nothing
                    writers[roots[i]].add(index)
        dropped = {root for root, found in within.items() if len(found) == 1} - kept
        repeated = {i for i, layer in enumerate(net.layers) if type(layer) in REPEATABLE}
        settled = False
        while not settled:
            before = len(dropped), len(repeated)
            # what is kept may be written again, as it is, where nobody else writes there
            repeated = {
                layer
                for layer in repeated
                for tops in [[roots[i] for i in net._top_index[layer]]]
                if all(root in dropped or writers[root] <= {layer} for root in tops)
            }
            dropped = {root for root in dropped if writers[root] <= repeated}
            settled = before == (len(dropped), len(repeated))
        return {i for i, root in enumerate(roots) if root in dropped}, repeated

    def stays(self, i):
        return i not in self.dropped or self.is_kept(i)

    def maps(self, sizes):
        kept, inner = self.kept_and_inner(self.segments, sizes, self.dropped)
        return kept + max(inner)

    def keeps_diff(self, i):
        return self.is_kept(i) or bool(self.net._blob_loss_weights[i])

    def left(self, counts):
        each = self.left_by(counts)
        kept = sum(size for i, size in enumerate(each) if i not in self.repeated)
        return kept + max(
            sum(each[i] for i in segment if i in self.repeated) for segment in self.segments
        )

    # ---- the passes

    def before_forward(self, index):
        if isinstance(self.net.layers[index], (neuron.Dropout, pooling.Pooling)):
            self.generators[index] = context.generator().get_state()

    def after_forward(self, index):
        self.bare.discard(index)
        if self.segment_of[index] == len(self.segments) - 1:
            return  # backward begins here
        ended = (i for i, last in enumerate(self.last) if last == index)
        self.let_go("_data", ended, lambda i: self.last[i] <= index, self.stays)
        self.lay_bare(index)

    def lay_bare(self, index):
        if index in self.repeated and REPEATABLE[type(self.net.layers[index])]:
            self.strip(index)
            self.bare.add(index)

    def begin_backward(self, start, end):
        """Before backward from layer start down to end: diffs may be written again."""
        self.current = None
        for index in range(end, start + 1):
            for blob in self.net._bottoms[index]:
                blob._diff.lost = None

    def before_backward(self, index):
        """The maps of a layer's segment are brought back."""
        if self.segment_of[index] != self.current:
            self.current = self.segment_of[index]
            self.bring_back(self.segments[self.current])

    def missing(self, segment):
        """The layers to run again: with one all that write into its tops, in place."""
        tops_of = {i: {self.roots[j] for j in self.net._top_index[i]} for i in segment}
        lost = set()
        for i, tops in tops_of.items():
            if i in self.bare or any(blob._data.lost for blob in self.net._tops[i]):
                lost |= tops
        while (more := lost.union(*(tops for tops in tops_of.values() if tops & lost))) != lost:
            lost = more
        return [i for i, tops in tops_of.items() if i in self.repeated and tops & lost]

    def bring_back(self, segment):
        net = self.net
        missing = self.missing(segment)
        drawn = context.generator().get_state()
        for i in missing:
            layer, bottom, top = net.layers[i], net._bottoms[i], net._tops[i]
            for blob in top:
                if blob._data.lost:
                    blob._data = Memory(0)
            if i in self.generators:
                context.generator().set_state(self.generators[i])
            statistics = [b.x.clone() for b in layer.blobs] if adds_up(layer) else []
            layer.reshape(bottom, top)
            layer.forward(bottom, top)
            for blob, values in zip(layer.blobs, statistics):
                blob.x.copy_(values)
            self.bare.discard(i)
        context.generator().set_state(drawn)

    def after_backward(self, index):
        """What a layer made has been read for the last time, and so has its diff."""
        made = [i for i in self.net._top_index[index] if self.first[i] == index]
        self.let_go("_data", made, lambda i: self.first[i] >= index, self.stays)
        self.let_go("_diff", made, lambda i: self.first[i] >= index, self.keeps_diff)
        self.lay_bare(index)

    def reason(self, names):
        one = " and ".join(map(repr, names))
        return (
            f"blob {one}: not kept between forward and backward, nor after it, as recompute() of net "
            f"{self.net.name!r} wants it; to read it: recompute(keep=[{names[0]!r}])"
        )


def adds_up(layer):
    """Whether a forward adds to the layer's own blobs."""
    return isinstance(layer, norm.BatchNorm)


def lifetimes(net):
    """Of each blob the first and the last layer that has it as top or bottom."""
    first, last = [None] * len(net._blobs), [None] * len(net._blobs)
    for index, (bottoms, tops) in enumerate(zip(net._bottom_index, net._top_index)):
        for i in (*bottoms, *tops):
            first[i] = index if first[i] is None else first[i]
            last[i] = index
    return first, last


def fixed_tops(net):
    """Tops that a layer may count on finding as it left them: a source's and a Python layer's."""
    return {
        i
        for layer, tops in zip(net.layers, net._top_index)
        for i in tops
        if not layer.layer_param.bottom or not built_in(layer)
    }
