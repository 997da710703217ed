"""Where a training stands: the one clock that views, adversary and moving average go by."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A point in a training.

    At the start of an epoch ``share`` does not depend on the updates in an epoch, so that whoever
    does not know them yet (the views, before the batches are made) may leave them out.

    Attributes:
        epoch: from 1.
        max_epoch: epochs in all.
        steps_per_epoch: updates in an epoch.
        done: updates of this epoch that are done.
    """

    epoch: int = 1
    max_epoch: int = 1
    steps_per_epoch: int = 1
    done: int = 0

    @property
    def step(self) -> int:
        """Updates done since the training began."""
        return (self.epoch - 1) * self.steps_per_epoch + self.done

    @property
    def total_steps(self) -> int:
        """Updates in all."""
        return self.max_epoch * self.steps_per_epoch

    @property
    def share(self) -> float:
        """Share of the training that is done, in [0, 1]."""
        return min(1.0, self.step / self.total_steps)
