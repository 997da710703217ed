"""Give each rank its share of every batch; the batches are those of a single process.

ESPnet makes batches of at least as many utterances as there are ranks, so its training depends on
the number of ranks. Here rank r of R takes the utterances r, r + R, ... of each batch. A rank that
gets none computes the first utterance with weight 0, because ranks must step together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from espnet2.iterators.abs_iter_factory import AbsIterFactory
from torch import nn
from torch.utils.data import DataLoader

from espnet_robust.common.launch import IDLE
from espnet_robust.data.turns import number_turns


class Shares(AbsIterFactory):
    """The share of rank ``rank`` of ``ranks`` in the batches of ``whole``."""

    def __init__(self, whole: AbsIterFactory, rank: int, ranks: int):
        self.whole = whole
        self.rank = rank
        self.ranks = ranks

    def build_iter(self, epoch: int, shuffle: bool | None = None) -> "Share":
        whole = self.whole.build_iter(epoch, shuffle)
        # Before it is divided: an utterance's turn must not depend on the rank.
        numbered = [p for p in [getattr(whole.dataset, "preprocess", None)] if hasattr(p, "turn")]
        return Share(number_turns(whole, numbered), self.rank, self.ranks)


class Share:
    """Yields (utterance ids, batch) for one epoch; the ids are [IDLE] if the weight must be 0.

    Args:
        loader: loads whole batches; its ``batch_sampler`` lists them.
        rank: of this process, in [0, ranks).
        ranks: number of processes.
    """

    def __init__(self, loader: DataLoader, rank: int, ranks: int):
        own = [batch[rank::ranks] for batch in loader.batch_sampler]
        self._idle = [not share for share in own]
        self._loader = DataLoader(
            loader.dataset,
            batch_sampler=[
                share or batch[:1] for share, batch in zip(own, loader.batch_sampler, strict=True)
            ],
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            worker_init_fn=loader.worker_init_fn,
        )

    def __len__(self) -> int:
        return len(self._idle)

    def __iter__(self) -> Iterator[tuple[Sequence[str], dict]]:
        for (ids, batch), idle in zip(self._loader, self._idle, strict=True):
            yield [IDLE] if idle else ids, batch


def build_shares(build, cls, args, iter_options, mode: str) -> AbsIterFactory:
    """Replaces ``build``, ESPnet's ``AbsTask.build_sequence_iter_factory``."""
    if not iter_options.distributed:
        return build(cls, args, iter_options, mode)
    from torch.distributed import get_rank, get_world_size

    whole = build(cls, args, replace(iter_options, distributed=False), mode)
    return Shares(whole, get_rank(), get_world_size())


def weigh_shares(model: nn.Module) -> None:
    """Make ``model`` return the weight 0 for a batch with the ids [IDLE]."""

    def weigh(module: nn.Module, args: tuple, kwargs: dict, given: tuple | dict):
        if list(kwargs.get("utt_id", ())) != [IDLE]:
            return given
        if isinstance(given, dict):
            return given | {"weight": given["weight"] * 0}
        loss, stats, weight = given
        return loss, stats, weight * 0

    model.register_forward_hook(weigh, with_kwargs=True)
