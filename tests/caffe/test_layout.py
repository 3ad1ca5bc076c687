"""Layouts of graphs: no box on another, edges from box to box and through none."""

import itertools
import random

import pytest

from caffe.layout import Edge, Place, layout


def random_graph(seed):
    """A chain with branches and skips, as nets are, and now and then something else."""
    rng = random.Random(seed)
    count = rng.randint(1, 40)
    sizes = [Place(rng.choice([30, 45, 60]), rng.uniform(40, 250)) for _ in range(count)]
    edges = []
    for target in range(1, count):
        near = [target - 1] if rng.random() < 0.8 else []
        far = [rng.randrange(target) for _ in range(rng.choice([0, 0, 0, 1, 2]))]
        edges += [Edge(source, target, f"blob {source}") for source in {*near, *far}]
    return sizes, edges


CHAIN = [Place(30, 100)] * 6, [Edge(i, i + 1) for i in range(5)]
GRAPHS = [*map(random_graph, range(60)), CHAIN, ([], [])]


def along(route):
    """Points along a route: straight lines, and the bends as they are drawn."""
    for i, (a, b) in enumerate(zip(route, route[1:])):
        for t in (k / 10 for k in range(11)):
            way = t if i % 2 == 0 else 3 * t**2 - 2 * t**3  # across, of a bend
            yield Place(a.along + (b.along - a.along) * t, a.across + (b.across - a.across) * way)


def inside(point, corner, size, slack=0.01):
    return all(
        least + slack < value < least + length - slack
        for value, least, length in zip(point, corner, size)
    )


@pytest.mark.parametrize("sizes, edges", GRAPHS)
def test_boxes_lie_apart_and_within_the_picture(sizes, edges):
    found = layout(sizes, edges)
    for (a, size_a), (b, size_b) in itertools.combinations(zip(found.corners, sizes), 2):
        gaps = [max(b[k] - a[k] - size_a[k], a[k] - b[k] - size_b[k]) for k in (0, 1)]
        assert max(gaps) > 5
    for corner, size in zip(found.corners, sizes):
        for k in (0, 1):
            assert corner[k] + 1e-6 >= 0 and corner[k] + size[k] <= found.size[k] + 1e-6


@pytest.mark.parametrize("sizes, edges", GRAPHS)
def test_edges_run_from_box_to_box_and_through_none(sizes, edges):
    found = layout(sizes, edges)
    for edge, route in zip(edges, found.routes):
        start, end = found.corners[edge.source], found.corners[edge.target]
        assert route[0].along == pytest.approx(start.along + sizes[edge.source].along)
        assert route[-1].along == pytest.approx(end.along)
        for corner, size, point in (
            (start, sizes[edge.source], route[0]),
            (end, sizes[edge.target], route[-1]),
        ):
            assert corner.across < point.across < corner.across + size.across
        assert all(a.along <= b.along + 1e-6 for a, b in zip(route, route[1:]))
        for point in along(route):
            assert not any(inside(point, *box) for box in zip(found.corners, sizes))


@pytest.mark.parametrize("sizes, edges", GRAPHS)
def test_edges_of_one_blob_leave_together_and_of_two_apart(sizes, edges):
    found = layout(sizes, edges)
    leaves = {}
    for edge, route in zip(edges, found.routes):
        assert leaves.setdefault((edge.source, edge.port), route[0]) == route[0]


def test_a_chain_is_straight():
    found = layout(*CHAIN)
    assert len({point.across for route in found.routes for point in route}) == 1


def test_a_skip_leaves_the_chain_straight():
    """Data to the Crop at the end, past everything."""
    sizes = [Place(30, 100)] * 8
    found = layout(sizes, [*(Edge(i, i + 1) for i in range(7)), Edge(0, 7)])
    middles = {round(corner.across, 3) for corner in found.corners[1:7]}
    assert len(middles) == 1


def test_what_reads_nothing_stands_before_its_first_reader():
    """Labels beside the scores, not at the top."""
    sizes = [Place(30, 100)] * 5
    found = layout(sizes, [Edge(0, 2), Edge(2, 3), Edge(3, 4), Edge(1, 4)])
    assert found.corners[1].along == found.corners[3].along


def test_branches_do_not_cross():
    """Two branches of three, whose order in the file is mixed."""
    edges = [
        Edge(0, 1),
        Edge(0, 2),
        Edge(1, 3),
        Edge(2, 4),
        Edge(3, 6),
        Edge(4, 5),
        Edge(5, 7),
        Edge(6, 7),
    ]
    found = layout([Place(30, 100)] * 8, edges)
    sides = [[found.corners[i].across for i in branch] for branch in ((1, 3, 6), (2, 4, 5))]
    assert max(min(sides)) < min(max(sides))


def test_a_deep_net_is_laid_out_quickly():
    """ResNet-152 has some 500 layers, and a skip over each block."""
    count = 600
    edges = [Edge(i, i + 1) for i in range(count - 1)] + [
        Edge(i, i + 4) for i in range(0, count - 4, 3)
    ]
    found = layout([Place(30, 100)] * count, edges)
    assert len(found.corners) == count
