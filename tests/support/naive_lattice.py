"""The permutohedral lattice point by point, with a dict of vertices: the judge of the fast one."""

import math

import numpy as np


def simplex(feature):
    """[(vertex, weight)] of a point's simplex."""
    d = len(feature)
    scaled = [f * (d + 1) * math.sqrt(2 / 3 / ((i + 1) * (i + 2))) for i, f in enumerate(feature)]
    elevated, total = [0.0] * (d + 1), 0.0
    for i in range(d, 0, -1):
        elevated[i] = total - i * scaled[i - 1]
        total += scaled[i - 1]
    elevated[0] = total
    corner = []
    for e in elevated:
        up, down = math.ceil(e / (d + 1)) * (d + 1), math.floor(e / (d + 1)) * (d + 1)
        corner.append(up if up - e < e - down else down)
    excess = sum(corner) // (d + 1)
    rank = [0] * (d + 1)
    for i in range(d + 1):
        for j in range(i + 1, d + 1):
            further = elevated[i] - corner[i] < elevated[j] - corner[j]
            rank[i if further else j] += 1
    for i in range(d + 1):
        rank[i] += excess
        if rank[i] < 0:
            rank[i], corner[i] = rank[i] + d + 1, corner[i] + d + 1
        elif rank[i] > d:
            rank[i], corner[i] = rank[i] - d - 1, corner[i] - d - 1
    weight = [0.0] * (d + 2)
    for i in range(d + 1):
        share = (elevated[i] - corner[i]) / (d + 1)
        weight[d - rank[i]] += share
        weight[d + 1 - rank[i]] -= share
    weight[0] += 1 + weight[d + 1]
    vertices = [
        tuple(corner[i] + (k if rank[i] <= d - k else k - d - 1) for i in range(d))
        for k in range(d + 1)
    ]
    return list(zip(vertices, weight))


def lattice_filter(features, values):
    """Values (N, channels) filtered among points with features (N, d)."""
    d = features.shape[1]
    points = [simplex(feature) for feature in features]
    table = {}
    for corners, value in zip(points, values):
        for vertex, weight in corners:
            table[vertex] = table.get(vertex, 0) + weight * value
    for axis in range(d + 1):
        step = np.array([d if i == axis else -1 for i in range(d)])
        table = {
            v: x + 0.5 * (table.get(tuple(v + step), 0) + table.get(tuple(v - step), 0))
            for v, x in table.items()
        }
    gain = 1 / (1 + 2.0**-d)
    return np.array([sum(w * table[v] for v, w in corners) * gain for corners in points])


def normalized_filter(features, values):
    """Values (channels, N) filtered and divided by the filter's sums; features are (d, N)."""
    sums = lattice_filter(features.T, np.ones((features.shape[1], 1)))
    return (lattice_filter(features.T, values.T) / (sums + 1e-20)).T
