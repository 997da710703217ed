"""The one clock of a training."""

import pytest

from espnet_robust.distill.schedule import Schedule


def test_by_hand():
    schedule = Schedule(epoch=3, max_epoch=4, steps_per_epoch=10, done=5)
    assert (schedule.step, schedule.total_steps, schedule.share) == (25, 40, 0.625)
    assert Schedule().share == 0.0
    assert Schedule(epoch=1, max_epoch=1, steps_per_epoch=4, done=4).share == 1.0


@pytest.mark.parametrize("steps", [1, 3, 7, 2000])
def test_an_epoch_starts_at_the_same_share_whatever_its_updates(steps):
    for epoch in range(1, 101):
        assert Schedule(epoch, 100, steps).share == Schedule(epoch, 100).share == (epoch - 1) / 100


def test_a_run_that_was_prolonged_stays_at_its_end():
    assert Schedule(epoch=5, max_epoch=3, steps_per_epoch=2).share == 1.0
