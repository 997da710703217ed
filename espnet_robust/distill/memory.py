"""Keep examples from past batches, because a dozen utterances say too little about a domain."""

import torch
import torch.distributed
from torch import Tensor, nn

EMPTY = -1.0


class Memory(nn.Module):
    """The last ``size // 2`` examples of each side: 0, clean, and 1, distorted.

    Each side has a share of its own, because a batch may bring more examples than the memory holds,
    and one side of it after the other: frames, for example. They are buffers, so that a resumed run
    has them. The sides are floats, because ESPnet sums integers when it averages checkpoints.

    Args:
        size: number of examples, at least 2; if it is odd, one place stays empty.
        width: D of an example.
    """

    def __init__(self, size: int, width: int):
        super().__init__()
        self.register_buffer("rows", torch.zeros(size, width))
        self.register_buffer("labels", torch.full((size,), EMPTY))

    def get(self) -> tuple[Tensor, Tensor]:
        """(N, D) examples and (N,) int64 sides, oldest first; N grows up to ``size``."""
        held = self.labels != EMPTY
        return self.rows[held], self.labels[held].long()

    @torch.no_grad()
    def add(self, rows: Tensor, labels: Tensor) -> None:
        """Add (B, D) examples and their (B,) sides.

        Of a side that has more than its share of the memory, those kept are spread evenly over B.
        """
        size = len(self.labels)
        all_rows = torch.cat([self.rows, rows.float()])
        all_labels = torch.cat([self.labels, labels.float()])
        is_new = torch.arange(len(all_labels), device=rows.device) >= size
        kept = []
        for side in (0, 1):
            old, new = ((all_labels == side) & (is_new == x) for x in (False, True))
            new = _spread_evenly(new.nonzero()[:, 0], size // 2)
            kept.append(torch.cat([old.nonzero()[:, 0], new])[-(size // 2) :])
        order = torch.cat(kept).sort().values
        empty = size - len(order)
        self.rows[:empty], self.rows[empty:] = 0, all_rows[order]
        self.labels[:empty], self.labels[empty:] = EMPTY, all_labels[order]


def _spread_evenly(indices: Tensor, most: int) -> Tensor:
    """(N,) -> at most ``most`` of them."""
    number = min(most, len(indices))
    return indices[torch.arange(number, device=indices.device) * len(indices) // max(1, number)]


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
