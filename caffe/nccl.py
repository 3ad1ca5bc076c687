"""Training on several GPUs: pycaffe's names, which say that there is no such thing here yet.

BVLC Caffe runs one solver a GPU, in threads or processes, joined by NCCL. Here one process trains on
one device.
"""

_count = 1
_rank = 0


def has_nccl() -> bool:
    """Whether NCCL can be used."""
    return False


class NCCL:
    """pycaffe's link between solvers on several GPUs; to make one raises NotImplementedError."""

    def __init__(self, solver: object, uid: bytes) -> None:
        raise NotImplementedError(_why)

    @staticmethod
    def new_uid() -> bytes:
        """A name for a group of solvers."""
        raise NotImplementedError(_why)


_why = (
    "training on several GPUs (NCCL) is not available: caffe.has_nccl() is False; train on one GPU "
    "with iter_size in the solver, which gives the same batches"
)


def solver_count() -> int:
    """Number of solvers that train together."""
    return _count


def set_solver_count(count: int) -> None:
    """Raises NotImplementedError unless it is 1."""
    if count != 1:
        raise NotImplementedError(_why)


def solver_rank() -> int:
    """Which of the solvers this is."""
    return _rank


def set_solver_rank(rank: int) -> None:
    """Raises NotImplementedError unless it is 0, the first."""
    if rank != 0:
        raise NotImplementedError(_why)


def set_multiprocess(multiprocess: bool) -> None:
    """Raises NotImplementedError for anything but False."""
    if multiprocess:
        raise NotImplementedError(_why)
