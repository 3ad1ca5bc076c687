"""Segments: which layers of a TRAIN net recompute their maps together, for the least memory.

A net is cut into ranges of layers. Maps that cross from one segment into a later one are kept; the
others are dropped in forward and computed again, a segment at a time, in backward. (Chen et al.,
Training Deep Nets with Sublinear Memory Cost, 2016.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..layer import declares
from ..topology import Topology
from .lifetimes import KeepAll, Span, memory_roots

TRIALS = 20  # limits on a segment's own bytes that `plan` tries, each 3/4 of the one before


class Segments:
    """The cut of a net into segments, the blobs that are dropped and the layers that run twice."""

    def __init__(self, net: Topology, policy: KeepAll):
        self.net = net
        self.policy = policy
        self.roots = memory_roots(net, "data")
        self.ranges = self._plan()
        self.index_of = {i: k for k, segment in enumerate(self.ranges) for i in segment}
        self.dropped, self.repeated = self._droppable(self.ranges)

    # ---- bytes

    def maps(self, sizes: Sequence[float]) -> float:
        """Bytes of the maps at once: those kept, and the largest segment's own."""
        kept, inner = self._kept_and_inner(self.ranges, sizes, self.dropped)
        return kept + max(inner)

    def saved(self, saved_by_layer: Sequence[float]) -> float:
        """Bytes that layers save for backward at once, from each layer's."""
        kept = sum(size for i, size in enumerate(saved_by_layer) if i not in self.repeated)
        return kept + max(
            sum(saved_by_layer[i] for i in segment if i in self.repeated) for segment in self.ranges
        )

    # ---- the plan

    def _plan(self) -> list[range]:
        """The cut with the least bytes at once, among those for several limits on a segment."""
        sizes = [blob.count for blob in self.net.blobs]
        saved = [size / 4 for size in self.policy.saved_by_layer(sizes)]  # in values, as the sizes
        spans = self.policy.spans(
            sizes, "data", lambda i: i in self.policy.fixed, range(len(sizes))
        )
        free = [span for span in spans if not span.stays]
        inner, crossing = self._costs(free, saved)
        total = sum(span.size for span in free) + sum(saved)
        plans = [self._cut(total * 0.75**k, inner, crossing) for k in range(TRIALS)]
        return min(plans, key=lambda plan: self._peak(plan, sizes, saved))

    def _costs(
        self, spans: list[Span], saved: list[float]
    ) -> tuple[list[dict[int, float]], list[float]]:
        """inner[a][b]: what layers a..b alone use; crossing[b]: what is alive from b to b + 1."""
        count = len(self.net.layers)
        ending: list[list[Span]] = [[] for _ in range(count)]
        crossing = [0.0] * count
        for span in spans:
            ending[span.last].append(span)
            for at in range(span.first, span.last):
                crossing[at] += span.size
        inner = []
        for a in range(count):
            row, own = {}, 0.0
            for b in range(a, count):
                own += saved[b] + sum(span.size for span in ending[b] if span.first >= a)
                row[b] = own
            inner.append(row)
        return inner, crossing

    @staticmethod
    def _cut(limit: float, inner: list[dict[int, float]], crossing: list[float]) -> list[range]:
        """The segments of at most `limit` inside between which the least is kept.

        By dynamic programming; a single layer may exceed the limit.
        """
        count = len(crossing)
        best: list[tuple[float, int]] = [
            (0.0, 0)
        ]  # for layers before b: (kept, last segment's start)
        for b in range(count):
            options = (
                (best[a][0] + (crossing[b] if b + 1 < count else 0), a)
                for a in range(b + 1)
                if inner[a][b] <= limit or a == b
            )
            best.append(min(options))
        segments: list[range] = []
        end = count
        while end:
            start = best[end][1]
            segments.insert(0, range(start, end))
            end = start
        return segments

    def _peak(self, segments, sizes, saved):
        """Values at once: what is kept, and the largest segment's own."""
        dropped, repeated = self._droppable(segments)
        kept, inner = self._kept_and_inner(segments, sizes, dropped)
        kept += sum(size for i, size in enumerate(saved) if i not in repeated)
        inner = [
            size + sum(saved[i] for i in segment if i in repeated)
            for size, segment in zip(inner, segments)
        ]
        return kept + max(inner)

    def _kept_and_inner(self, segments, sizes, dropped):
        """Sizes of all maps that are kept, and of each segment's that are dropped."""
        index_of = {i: k for k, segment in enumerate(segments) for i in segment}
        kept, inner = 0, [0] * len(segments)
        stays: Callable[[int], bool] = lambda i: i not in dropped  # noqa: E731
        for span in self.policy.spans(sizes, "data", stays, range(len(sizes))):
            if span.stays:
                kept += span.size
            else:
                inner[index_of[span.first]] += span.size
        return kept, inner

    def _droppable(self, segments: list[range]) -> tuple[set[int], set[int]]:
        """(ids of blobs that may be dropped, layers that compute them again).

        Blobs that share memory are dropped together, and only if they are used in one segment and
        all layers that write them are repeatable.
        """
        net, roots, policy = self.net, self.roots, self.policy
        index_of = {i: k for k, segment in enumerate(segments) for i in segment}
        kept = {root for i, root in enumerate(roots) if policy.is_kept(i)}
        used_in: dict[int, set[int]] = {root: set() for root in roots}
        for i, root in enumerate(roots):
            used_in[root].update((index_of[policy.first[i]], index_of[policy.last[i]]))
        writers = self._writers()
        dropped = {root for root, where in used_in.items() if len(where) == 1} - kept
        repeated = {i for i, layer in enumerate(net.layers) if declares(layer, "repeatable")}
        settled = False
        while not settled:  # each set restricts the other
            before = len(dropped), len(repeated)
            # a map that is kept may be written again, as it is, by its only writer
            repeated = {
                layer
                for layer in repeated
                if all(
                    roots[i] in dropped or writers[roots[i]] <= {layer} for i in net.top_ids[layer]
                )
            }
            dropped = {root for root in dropped if writers[root] <= repeated}
            settled = before == (len(dropped), len(repeated))
        return {i for i, root in enumerate(roots) if root in dropped}, repeated

    def _writers(self) -> dict[int, set[int]]:
        """Of each piece of memory the layers that write it; aliases of a bottom write nothing."""
        net, roots = self.net, self.roots
        writers: dict[int, set[int]] = {root: set() for root in roots}
        for index, (bottoms, tops) in enumerate(zip(net.bottom_ids, net.top_ids)):
            read = {roots[j] for j in bottoms}
            for i in tops:
                if i in bottoms or roots[i] not in read:
                    writers[roots[i]].add(index)
        return writers
