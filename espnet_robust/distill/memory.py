"""Keep examples from past batches, because a dozen utterances say too little about a domain."""

import torch
import torch.distributed
from torch import Tensor, nn

EMPTY = -1.0


class Memory(nn.Module):
    """The last ``size`` examples and their classes.

    They are buffers, so that a resumed run has them. The classes are floats, because ESPnet sums
    integers when it averages checkpoints.

    Args:
        size: number of examples.
        width: D of an example.
    """

    def __init__(self, size: int, width: int):
        super().__init__()
        self.register_buffer("rows", torch.zeros(size, width))
        self.register_buffer("labels", torch.full((size,), EMPTY))

    def get(self) -> tuple[Tensor, Tensor]:
        """(N, D) examples and (N,) int64 classes, oldest first; N grows up to ``size``."""
        held = self.labels != EMPTY
        return self.rows[held], self.labels[held].long()

    @torch.no_grad()
    def add(self, rows: Tensor, labels: Tensor) -> None:
        """Add (B, D) examples and their (B,) classes."""
        size = len(self.labels)
        self.rows.copy_(torch.cat([self.rows, rows.float()])[-size:])
        self.labels.copy_(torch.cat([self.labels, labels.float()])[-size:])


@torch.no_grad()
def of_all_processes(rows: Tensor) -> Tensor:
    """(B, D) examples of this process -> those of all processes that share the batch.

    They have the order of the whole batch, of which process r of R has r, r + R, ...
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows.detach()
    world = torch.distributed.get_world_size()
    most = torch.tensor(len(rows), device=rows.device)
    torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
    padded = rows.new_full((int(most), rows.shape[1] + 1), torch.nan)
    padded[: len(rows), :-1], padded[: len(rows), -1] = rows, 1
    shares = [torch.empty_like(padded) for _ in range(world)]
    torch.distributed.all_gather(shares, padded)
    whole = torch.stack(shares, dim=1).flatten(0, 1)
    return whole[whole[:, -1] == 1, :-1]
