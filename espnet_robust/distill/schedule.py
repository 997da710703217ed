"""The point that a training has reached, as used by views, adversary and moving average."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """A point in a training.

    At the start of an epoch, ``share`` does not depend on the number of updates per epoch, so code
    that does not know it yet (the views, before the batches are made) may leave it out.

    Attributes:
        epoch: number of the epoch, from 1.
        max_epoch: number of epochs.
        steps_per_epoch: updates per epoch.
        done: updates done in this epoch.
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
        """Total number of updates."""
        return self.max_epoch * self.steps_per_epoch

    @property
    def share(self) -> float:
        """Progress of the training, in [0, 1]."""
        return min(1.0, self.step / self.total_steps)
