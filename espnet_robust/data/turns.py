"""Number the turns of an utterance that comes several times in an epoch.

ESPnet's ``num_iters_per_epoch`` may make an epoch longer than one pass over the data. Draws are
keyed by utterance and epoch, so without a number such an utterance would be cropped and distorted
in the same way each time.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol


class Numbered(Protocol):
    """A preprocessor whose draws depend on ``turn``, 0 for the first in an epoch."""

    turn: int


def side_of(side: str, turn: int) -> str:
    """The side by which a turn's draws are keyed; that of turn 0 is ``side`` itself."""
    return f"{side} turn{turn}" if turn else side


class Turns:
    """``dataset``, with keys (key, turn).

    Args:
        preprocessors: those that ``dataset`` calls. They are the same objects in a worker, too,
            because ``dataset`` and they are copied there together.
    """

    def __init__(self, dataset: Any, preprocessors: Sequence[Numbered]):
        self.dataset = dataset
        self.preprocessors = preprocessors

    def __getitem__(self, key: tuple[Any, int]) -> Any:
        key, turn = key
        for preprocessor in self.preprocessors:
            preprocessor.turn = turn
        return self.dataset[key]


def number_turns(loader: Any, preprocessors: Sequence[Numbered]) -> Any:
    """A loader that tells preprocessors each utterance's turn; ``loader`` if none has two.

    Args:
        loader: torch's DataLoader for one epoch of all ranks. One that does not list its batches
            of keys, such as that of ``iterator_type: chunk``, is returned as it is.
    """
    batches = getattr(loader, "batch_sampler", None)
    if not isinstance(batches, list) or not preprocessors:
        return loader
    seen: Counter = Counter()
    numbered = []
    for batch in batches:
        numbered.append([(key, seen[key]) for key in batch])
        seen.update(batch)
    if max(seen.values(), default=0) < 2:
        return loader
    return type(loader)(
        Turns(loader.dataset, preprocessors),
        batch_sampler=numbered,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
    )
