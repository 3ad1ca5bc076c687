"""`caffe device_query`: what is known of the GPUs (tools/caffe.cpp, src/caffe/common.cpp)."""

from collections.abc import Sequence

from ..glog import info
from .caffe_tool import gpu_numbers, parse_flags, require_gpu


def device_query(argv: Sequence[str]) -> int:
    """Log what PyTorch knows of the GPUs that -gpu names."""
    flags = parse_flags(argv, "device_query")
    import torch

    info("caffe.cpp:138", f"Querying GPUs {flags.gpu}")
    gpus = gpu_numbers(flags.gpu)
    if flags.gpu and not gpus:
        raise RuntimeError("PyTorch sees no GPU")
    for gpu in gpus:
        if not require_gpu(gpu, "-gpu"):
            continue
        known = torch.cuda.get_device_properties(gpu)
        rows = {
            "Device id": gpu,
            "Major revision number": known.major,
            "Minor revision number": known.minor,
            "Name": known.name,
            "Total global memory": known.total_memory,
            "Total shared memory per block": getattr(known, "shared_memory_per_block", None),
            "Total registers per multiprocessor": getattr(known, "regs_per_multiprocessor", None),
            "Warp size": getattr(known, "warp_size", None),
            "Number of multiprocessors": known.multi_processor_count,
        }
        for line, (name, value) in enumerate(rows.items(), 186):
            if value is not None:
                info(f"common.cpp:{line}", f"{name + ':':<31}{value}")
    return 0
