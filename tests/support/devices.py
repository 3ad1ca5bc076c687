"""A device that stands in for a GPU."""

import torch

# The CPU under a key equal to no other: blobs keep a side of their memory for it.
MOCK_GPU = torch.device("cpu", 0)
