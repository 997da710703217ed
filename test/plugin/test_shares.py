"""Each rank's share of every batch: the batches of one process, every utterance once."""

import argparse
from itertools import chain

import pytest
import torch
from espnet2.iterators.sequence_iter_factory import SequenceIterFactory
from torch import nn

from espnet_robust.common.launch import IDLE
from espnet_robust.plugin.shares import Shares, weigh_shares

BATCHES = [("a", "b", "c"), ("d",), ("e", "f"), ("g", "h", "i", "j")]


class Letters(torch.utils.data.Dataset):
    def __getitem__(self, key):
        return key, ord(key)


def collate(rows):
    return [key for key, _ in rows], {"x": torch.tensor([x for _, x in rows])}


@pytest.fixture
def whole():
    """whole(**options) -> ESPnet's factory of BATCHES, shuffled."""
    return lambda **options: SequenceIterFactory(
        Letters(), BATCHES, shuffle=True, collate_fn=collate, **options
    )


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "options", [{}, {"num_iters_per_epoch": 3}, {"shuffle_within_batch": True}, {"num_workers": 1}]
)
def test_shares_are_the_batches_of_one_process(whole, ranks, options):
    for epoch in (1, 2):
        wanted = [list(ids) for ids, _ in whole(**options).build_iter(epoch)]
        shares = [Shares(whole(**options), r, ranks).build_iter(epoch) for r in range(ranks)]
        assert {len(share) for share in shares} == {len(wanted)}
        for batch, *parts in zip(wanted, *shares, strict=True):
            own = [list(ids) for ids, _ in parts if ids != [IDLE]]
            assert sorted(chain(*own)) == sorted(batch)
            assert own == [batch[r::ranks] for r in range(min(ranks, len(batch)))]
            for ids, data in parts:  # one without an utterance computes the first one of the batch
                ids = batch[:1] if ids == [IDLE] else ids
                assert data["x"].tolist() == [ord(key) for key in ids]


class Turning(Letters):
    """Its preprocessor has a turn; rows hold it."""

    def __init__(self):
        self.preprocess = argparse.Namespace(turn=0)

    def __getitem__(self, key):
        return key, self.preprocess.turn


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_turn_of_an_utterance_does_not_depend_on_the_ranks(ranks):
    found = []
    for rank in range(ranks):
        whole = SequenceIterFactory(
            Turning(), [("a", "b", "c")], num_iters_per_epoch=3, collate_fn=collate
        )
        for ids, data in Shares(whole, rank, ranks).build_iter(1):
            found += zip(ids, data["x"].tolist(), strict=True)
    assert sorted(found) == [(key, turn) for key in "abc" for turn in range(3)]


class Model(nn.Module):
    def __init__(self, given):
        super().__init__()
        self.given = given

    def forward(self, x, utt_id):
        return self.given


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_rank_without_an_utterance_weighs_nothing(as_dict):
    loss, stats, weight = torch.tensor(3.0), {"acc": torch.tensor(1.0)}, torch.tensor([7])
    given = {"loss": loss, "stats": stats, "weight": weight} if as_dict else (loss, stats, weight)
    model = Model(given)
    weigh_shares(model)
    for ids, wanted in (["u1", "u2"], 7), ([IDLE], 0):
        found = model(x=1, utt_id=ids)
        values = found.values() if as_dict else found
        assert [*values][2].tolist() == [wanted] and [*values][:2] == [loss, stats]
