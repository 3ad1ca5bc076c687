"""The permutohedral lattice in C: float32 on a CPU, at most 8 features."""

from __future__ import annotations

import ctypes

import torch

from .library import Filter, Space, address, native, workspace, written
from .products import on_cpu

MOST_FEATURES = 8
WIDTH = 8  # the numbers of a point are filled up with zeros to a multiple of these
LIMIT = 2**31  # corners of all points, which are counted in 32 bits


def takes(features: torch.Tensor) -> bool:
    """Whether points with features (N, d) are such as the code in C takes."""
    count, d = features.shape
    return on_cpu(features) and d <= MOST_FEATURES and count * (d + 1) < LIMIT


def extent(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Bounds of the first d coordinates of all vertices around points with features (N, d)."""
    count, d = features.shape
    least, most = torch.empty(2, d)
    native().lattice_extent(address(features), count, d, address(least), address(most))
    margin = 3 * (d + 1)  # a point is that near to the corners of its simplex
    return least.floor().long() - margin, most.ceil().long() + margin


class NativeLattice:
    """The lattice of points with features (N, d), as `caffe.permutohedral.Lattice`.

    `radix` packs a vertex's coordinates, less `offset`, into one number.
    """

    def __init__(self, features: torch.Tensor, offset: torch.Tensor, radix: torch.Tensor) -> None:
        points, d = features.shape
        corners, threads = points * (d + 1), torch.get_num_threads()
        space = Space(points, d, address(features))
        space.least[:d], space.radix[:d] = offset.tolist(), radix.tolist()
        keys = torch.empty(corners, dtype=torch.int64)
        weight = torch.empty(corners, dtype=torch.float32)
        vertex = torch.empty(corners, dtype=torch.int32)
        code = native()
        code.lattice_simplices(ctypes.byref(space), keys.data_ptr(), weight.data_ptr(), threads)
        self.size = code.lattice_number(keys.data_ptr(), corners, d, vertex.data_ptr())
        lines = torch.empty(max(self.size, 0) * (d + 1), dtype=torch.int32)
        along = space.radix, lines.data_ptr(), threads
        if self.size < 0 or not code.lattice_lines(keys.data_ptr(), self.size, d, *along):
            raise MemoryError(f"no memory for the lattice of {points} points")
        start = torch.empty(self.size + 1, dtype=torch.int32)
        member, share = torch.empty_like(vertex), torch.empty_like(weight)
        code.lattice_members(
            *(vertex.data_ptr(), weight.data_ptr(), points, d, self.size),
            *(start.data_ptr(), member.data_ptr(), share.data_ptr()),
        )
        weight *= 1 / (1 + 2.0**-d)  # those that values are read by
        self.points = points
        self._kept = vertex, lines, weight, start, member, share  # the struct has addresses
        self._filter = Filter(points, d, self.size, *(each.data_ptr() for each in self._kept))

    def filter(
        self,
        values: torch.Tensor,
        transposed: bool = False,
        scale: torch.Tensor | None = None,
        onto: torch.Tensor | None = None,
        out: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """`onto` + `scale` * filtered values; see `caffe.permutohedral.Lattice.filter`."""
        channels, missing = values.shape[1], -values.shape[1] % WIDTH
        if scale is None:
            scale = values.new_ones(self.points, 1)
        if missing:
            wide = torch.nn.functional.pad(values, (0, missing))
            y = self.filter(wide, transposed, scale)[:, :channels]
            if onto is not None:
                y = y + onto
            return y if out is None else out.copy_(y)
        shape = (self.points, channels)
        y = torch.empty(shape, dtype=torch.float32) if out is None else out
        table = workspace("lattice", self.size * min(channels, 4 * WIDTH))
        native().lattice_filter(
            ctypes.byref(self._filter),
            *(address(values, shape), address(onto, shape), address(scale, (self.points, 1))),
            *(address(y, shape), channels, transposed, address(table), torch.get_num_threads()),
        )
        written(y)
        return y
