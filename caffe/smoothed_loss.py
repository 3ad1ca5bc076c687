"""The loss that solvers display: a mean of the last losses (Solver::UpdateSmoothedLoss)."""

from collections.abc import Sequence

import torch


def fetched(values: Sequence[float | torch.Tensor]) -> list[float]:
    """Numbers, fetched from the device together where they are there."""
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    found = iter(torch.stack(tensors).tolist() if tensors else [])
    return [next(found) if isinstance(value, torch.Tensor) else value for value in values]


class SmoothedLoss:
    """The mean of the last `window` losses, or of all while there are fewer."""

    def __init__(self, mean: float = 0.0, losses: Sequence[float] = ()) -> None:
        """Of nothing yet, or as another was."""
        self.mean = mean
        self.losses: list[float] = list(losses)

    def add(self, step: int, loss: float, window: int) -> None:
        """Enter the loss of iteration `step`, counted from 0; `window` is average_loss."""
        if len(self.losses) < window:
            self.losses.append(loss)
            n = len(self.losses)
            self.mean = (self.mean * (n - 1) + loss) / n
        else:
            at = step % window
            self.mean += (loss - self.losses[at]) / window
            self.losses[at] = loss
