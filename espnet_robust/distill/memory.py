"""Examples of past batches: a batch of a dozen utterances says too little about a domain."""

import torch
import torch.distributed
from torch import Tensor, nn

EMPTY = -1.0


class Memory(nn.Module):
    """The last ``size`` examples and their classes.

    They are buffers, so that a resumed run has them; the classes as floats, because ESPnet adds up
    integers where it averages checkpoints.

    Args:
        size: examples.
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
        """Keep (B, D) examples and (B,) classes of this batch, of all processes."""
        rows, labels = _of_all_processes(rows.detach().float(), labels.float())
        size = len(self.labels)
        self.rows.copy_(torch.cat([self.rows, rows])[-size:])
        self.labels.copy_(torch.cat([self.labels, labels])[-size:])


def _of_all_processes(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """In the order of the whole batch, of which process r of R has the examples r, r + R, ..."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows, labels
    world = torch.distributed.get_world_size()
    most = torch.tensor(len(rows), device=rows.device)
    torch.distributed.all_reduce(most, torch.distributed.ReduceOp.MAX)
    share = rows.new_full((int(most), rows.shape[1] + 1), EMPTY)
    share[: len(rows), :-1], share[: len(rows), -1] = rows, labels
    shares = [torch.empty_like(share) for _ in range(world)]
    torch.distributed.all_gather(shares, share)
    whole = torch.stack(shares, dim=1).flatten(0, 1)
    whole = whole[whole[:, -1] != EMPTY]
    return whole[:, :-1], whole[:, -1]
