"""Where the boxes of a graph lie, and how its edges run: layer by layer, as Sugiyama's method has it.

A place is (along, across): along the flow, and across it. Boxes stand in ranks, each behind all that
it reads. An edge over several ranks has a lane of its own through those between, so that it crosses no
box. Ranks are ordered so that few edges cross, then shifted so that edges bend little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

GAP = 26.0  # between ranks, where edges bend
SPACE = 16.0  # between boxes of a rank
LANE = 6.0  # an edge's way through a rank
SWEEPS = 8
STRAIGHT = 8.0  # how much straighter than others an edge between two lanes is kept


class Place(NamedTuple):
    """A point, or a box's size: along the flow and across it."""

    along: float
    across: float


class Edge(NamedTuple):
    """From box `source` to box `target`; edges of one `port` leave the source at one point."""

    source: int
    target: int
    port: str = ""


@dataclass
class Node:
    """A box, or a lane's piece within a rank."""

    size: Place
    rank: int
    is_lane: bool = False
    before: list[Node] = field(default_factory=list)
    behind: list[Node] = field(default_factory=list)
    at: float = 0.0  # its middle, across

    def neighbours(self, forward: bool) -> list[Node]:
        """Those in the ranks before, or in those behind."""
        return self.before if forward else self.behind


@dataclass
class Layout:
    """What `layout` found."""

    corners: list[Place]  # of each box: its least along and across
    routes: list[list[Place]]  # of each edge: straight from a point to the next, then a bend, ...
    size: Place


def layout(sizes: Sequence[Place], edges: Sequence[Edge]) -> Layout:
    """Places for boxes of these sizes. An edge's source comes before its target in the list."""
    ranks_of = _ranks(len(sizes), edges)
    boxes = [Node(size, rank) for size, rank in zip(sizes, ranks_of)]
    ways = [_lanes(boxes[edge.source], boxes[edge.target]) for edge in edges]
    ranks: list[list[Node]] = [[] for _ in range(max(ranks_of, default=-1) + 1)]
    for node in _each_once([*boxes, *(node for way in ways for node in way)]):
        ranks[node.rank].append(node)
    _order(ranks)
    _shift(ranks)
    starts = _starts(ranks)
    corners = [Place(starts[box.rank], box.at - box.size.across / 2) for box in boxes]
    depths = [max(node.size.along for node in rank) for rank in ranks]
    routes = _routes(boxes, edges, ways, starts, depths)
    reach = max((box.at + box.size.across / 2 for rank in ranks for box in rank), default=0.0)
    return Layout(corners, routes, Place(starts[-1] if starts else 0.0, reach))


def _each_once(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, each once, in order."""
    return list({id(node): node for node in nodes}.values())


# ---- ranks and lanes


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """Each box behind all that it reads; what reads nothing right before its first reader."""
    ranks, targets, reads = [0] * count, defaultdict(list), set()
    for edge in sorted(edges, key=lambda edge: edge.target):
        ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 1)
        targets[edge.source].append(edge.target)
        reads.add(edge.target)
    for box in range(count):
        if box not in reads and targets[box]:
            ranks[box] = min(ranks[target] for target in targets[box]) - 1
    return ranks


def _lanes(source: Node, target: Node) -> list[Node]:
    """Source, a piece of a lane for each rank between, target; each knows its neighbours."""
    between = range(source.rank + 1, target.rank)
    way = [source, *(Node(Place(0.0, LANE), rank, True) for rank in between), target]
    for one, next_one in zip(way, way[1:]):
        one.behind.append(next_one)
        next_one.before.append(one)
    return way


# ---- order within ranks


def _order(ranks: list[list[Node]]) -> None:
    """Order the ranks, in place, by the mean position of neighbours, and keep the best order seen."""
    best, fewest = [list(rank) for rank in ranks], _crossings(ranks)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for rank in ranks if forward else reversed(ranks):
            rank.sort(key=lambda node: _mean(node, forward))
            _number([rank])
        crossings = _crossings(ranks)
        if crossings < fewest:
            best, fewest = [list(rank) for rank in ranks], crossings
    ranks[:] = best
    _number(ranks)


def _number(ranks: list[list[Node]]) -> None:
    """Let `at` be the position in the rank, from its middle."""
    for rank in ranks:
        for i, node in enumerate(rank):
            node.at = i - (len(rank) - 1) / 2


def _mean(node: Node, forward: bool) -> float:
    """The mean place of the neighbours on one side; its own without any."""
    near = node.neighbours(forward)
    return sum(other.at for other in near) / len(near) if near else node.at


def _crossings(ranks: list[list[Node]]) -> int:
    """How many pairs of edges cross."""
    _number(ranks)
    total = 0
    for rank in ranks:
        ends = [sorted(other.at for other in node.behind) for node in rank]
        for i, mine in enumerate(ends):
            total += sum(a > b for theirs in ends[i + 1 :] for a in mine for b in theirs)
    return total


# ---- places across


def _shift(ranks: list[list[Node]]) -> None:
    """Give the nodes places across, in their order and apart, near those of their neighbours."""
    for sweep in range(4 * SWEEPS):
        forward = sweep % 2 == 0
        for rank in ranks if forward else reversed(ranks):
            wanted, weights = zip(*(_wanted(node, forward) for node in rank))
            _apart(rank, wanted, weights)
    least = min((node.at - node.size.across / 2 for rank in ranks for node in rank), default=0.0)
    for rank in ranks:
        for node in rank:
            node.at -= least


def _wanted(node: Node, forward: bool) -> tuple[float, float]:
    """Where a node would like to be for its neighbours on one side, and how much."""
    near = [(other, _weight(node, other)) for other in node.neighbours(forward)]
    if not near:
        return node.at, 0.1
    weight = sum(w for _, w in near)
    return sum(other.at * w for other, w in near) / weight, weight


def _weight(one: Node, other: Node) -> float:
    return STRAIGHT if one.is_lane and other.is_lane else 1.0


def _apart(rank: list[Node], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Place a rank's nodes as near to `wanted` as their order and sizes allow (least squares).

    Less the room that the nodes before take up, places need only not to fall: neighbours that would
    fall take their weighted mean together, until none does.
    """
    room, taken = [], 0.0
    for i, node in enumerate(rank):
        if i:
            taken += (rank[i - 1].size.across + node.size.across) / 2 + SPACE
        room.append(taken)
    pools: list[tuple[float, float, int]] = []  # (place, weight, number of nodes)
    for place, weight in ((w - r, weight) for w, r, weight in zip(wanted, room, weights)):
        count = 1
        while pools and pools[-1][0] >= place:
            other, other_weight, others = pools.pop()
            place = (place * weight + other * other_weight) / (weight + other_weight)
            weight, count = weight + other_weight, count + others
        pools.append((place, weight, count))
    places = [place for place, _, count in pools for _ in range(count)]
    for node, place, taken in zip(rank, places, room):
        node.at = place + taken


# ---- places along, and routes


def _starts(ranks: list[list[Node]]) -> list[float]:
    """Where each rank starts along the flow, and where the last one ends."""
    starts, at = [], 0.0
    for rank in ranks:
        starts.append(at)
        bends = sum(abs(node.at - other.at) > 1 for node in rank for other in node.behind)
        at += max(node.size.along for node in rank) + GAP + 2 * min(bends, 12)
    return [*starts, max(at - GAP, 0.0)] if starts else []


def _routes(boxes, edges, ways, starts, depths):
    """The points of each edge: where it leaves its box, enters and leaves ranks, meets the other box."""
    leaves = _ports(boxes, [(edge.source, edge.port, way[1].at) for edge, way in zip(edges, ways)])
    meets = _ports(
        boxes, [(edge.target, str(i), way[-2].at) for i, (edge, way) in enumerate(zip(edges, ways))]
    )
    routes = []
    for i, (edge, way) in enumerate(zip(edges, ways)):
        source, target = boxes[edge.source], boxes[edge.target]
        out, into = leaves[edge.source, edge.port], meets[edge.target, str(i)]
        start = starts[source.rank]
        points = [Place(start + source.size.along, out), Place(start + depths[source.rank], out)]
        for node in way[1:-1]:
            points += [Place(starts[node.rank] + d, node.at) for d in (0.0, depths[node.rank])]
        points += [Place(starts[target.rank], into)] * 2
        routes.append(points)
    return routes


def _ports(boxes, ends):
    """(box, port) -> its place across, for (box, port, where the edge goes): spread along the box."""
    of_box = defaultdict(lambda: defaultdict(list))
    for box, port, toward in ends:
        of_box[box][port].append(toward)
    places = {}
    for box, ports in of_box.items():
        ordered = sorted(ports, key=lambda port: sum(ports[port]) / len(ports[port]))
        step = min(14.0, boxes[box].size.across * 0.8 / len(ordered))
        for i, port in enumerate(ordered):
            places[box, port] = boxes[box].at + (i - (len(ordered) - 1) / 2) * step
    return places
