"""Utterances that come several times in an epoch: each time a draw of its own."""

import pytest
import torch
from espnet2.iterators.sequence_iter_factory import SequenceIterFactory

from espnet_robust.data.turns import number_turns, side_of

BATCHES = [("a", "b"), ("c",)]


class Noting:
    """A preprocessor that returns its turn."""

    turn = 0

    def __call__(self, key: str) -> int:
        return self.turn


class Letters(torch.utils.data.Dataset):
    def __init__(self, preprocess):
        self.preprocess = preprocess

    def __getitem__(self, key):
        return key, self.preprocess(key)


def heard(batches_per_epoch: int | None, epoch: int = 1, workers: int = 0) -> list[tuple[str, int]]:
    preprocess = Noting()
    loader = SequenceIterFactory(
        Letters(preprocess), BATCHES, num_iters_per_epoch=batches_per_epoch, num_workers=workers,
        shuffle=True, collate_fn=list,
    ).build_iter(epoch)  # fmt: skip
    return [row for batch in number_turns(loader, [preprocess]) for row in batch]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("epoch", [1, 2])
def test_each_time_has_its_number(workers, epoch):
    found = heard(5, epoch, workers)
    for key in "abc":
        turns = [turn for heard_key, turn in found if heard_key == key]
        assert turns == list(range(len(turns))) and len(turns) >= 2


@pytest.mark.parametrize("batches_per_epoch", [None, 1, 2])
def test_one_pass_or_less_is_left_as_it_is(batches_per_epoch):
    preprocess = Noting()
    loader = SequenceIterFactory(
        Letters(preprocess), BATCHES, num_iters_per_epoch=batches_per_epoch, collate_fn=list
    ).build_iter(1)
    assert number_turns(loader, [preprocess]) is loader
    assert {turn for _, turn in heard(batches_per_epoch)} == {0}


def test_batches_that_are_not_listed_are_left_as_they_are():
    chunks = iter([])
    assert number_turns(chunks, [Noting()]) is chunks


def test_the_first_turn_draws_as_ever():
    assert side_of("student", 0) == "student"
    assert side_of("student", 1) not in ("student", side_of("student", 2))
