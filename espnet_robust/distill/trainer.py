"""ESPnet's trainer, with the additions that distillation needs around an epoch.

It collects target statistics before the first epoch, tells views and model each epoch's number, and
adds rows to ``curves.csv`` after each epoch. If the command has called
``plugin.training.hook_trainings``, a run killed at any moment can be resumed.
"""

import argparse
import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.torch_utils.device_funcs import to_device
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.reporter import SubReporter, aggregate
from espnet2.train.trainer import Trainer, TrainerOptions
from espnet2.utils.build_dataclass import build_dataclass

from espnet_robust.common.errors import ConfigError, one_line_errors
from espnet_robust.common.launch import IDLE
from espnet_robust.data.turns import number_turns
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.progress import Curves, Progress
from espnet_robust.distill.schedule import Schedule
from espnet_robust.distill.views import Views


class EpochIterFactory(AbsIterFactory):
    """Tells the views the epoch, before its workers start, and each utterance's turn in it."""

    def __init__(self, inner: AbsIterFactory, views: Views, max_epoch: int):
        self.inner = inner
        self.views = views
        self.max_epoch = max_epoch

    def build_iter(self, epoch: int, shuffle: bool | None = None):
        self.views.start_epoch(Schedule(epoch, self.max_epoch))
        return number_turns(self.inner.build_iter(epoch, shuffle), [self.views])


@dataclass
class DistillTrainerOptions(TrainerOptions):
    """ESPnet's options and ours.

    Attributes:
        statistics_batches: number of batches for the statistics of the targets.
    """

    statistics_batches: int


class DistillTrainer(Trainer):
    """ESPnet's trainer; it resumes exactly and tells the model the point in the training."""

    @classmethod
    def build_options(cls, args: argparse.Namespace) -> DistillTrainerOptions:
        return build_dataclass(DistillTrainerOptions, args)

    @classmethod
    def train_one_epoch(
        cls,
        *,
        model: torch.nn.Module,
        iterator,
        reporter: SubReporter,
        options: DistillTrainerOptions,
        distributed_option: DistributedOption,
        **kwargs,
    ) -> bool:
        distill_model = getattr(model, "module", model)
        if distill_model.needs_statistics:
            _collect_statistics(distill_model, iterator, options)
        steps = _updates(iterator, options.accum_grad)
        schedule = Schedule(reporter.epoch, options.max_epoch, steps)
        distill_model.start_epoch(schedule, options.accum_grad)
        # Skips batches at the end that do not fill an update: ESPnet would carry their gradients
        # into the next epoch, where a resumed run would not have them.
        first, limit = _is_first_rank(distributed_option), steps * options.accum_grad
        progress = _progress(distill_model, iterator, reporter, first, limit)
        all_steps_are_invalid = super().train_one_epoch(
            model=model,
            iterator=progress,
            reporter=reporter,
            options=options,
            distributed_option=distributed_option,
            **kwargs,
        )
        scalars = _scalars(reporter, progress)
        if first:
            _add_to_curves(options, reporter, scalars)
        return all_steps_are_invalid

    @classmethod
    def validate_one_epoch(
        cls,
        *,
        model: torch.nn.Module,
        iterator,
        reporter: SubReporter,
        options: DistillTrainerOptions,
        distributed_option: DistributedOption,
    ) -> None:
        distill_model = getattr(model, "module", model)
        first = _is_first_rank(distributed_option)
        progress = _progress(distill_model, iterator, reporter, first)
        distill_model.start_validation()
        super().validate_one_epoch(
            model=model,
            iterator=progress,
            reporter=reporter,
            options=options,
            distributed_option=distributed_option,
        )
        if probed := distill_model.fit_probes():
            reporter.register(probed)
            reporter.next()
        scalars = _scalars(reporter, progress)
        if first:
            _add_to_curves(options, reporter, scalars)


def _is_first_rank(option: DistributedOption) -> bool:
    return not option.distributed or option.dist_rank == 0


def _collect_statistics(model: DistillModel, iterator, options: DistillTrainerOptions) -> None:
    batches = itertools.islice(one_line_errors(iterator), options.statistics_batches)
    device = "cuda" if options.ngpu > 0 else "cpu"
    model.collect_statistics(to_device(batch, device) for ids, batch in batches if ids != [IDLE])


def _updates(iterator, accum_grad: int) -> int:
    """The number of updates in an epoch. Raises ConfigError if there is none."""
    steps = len(iterator) // accum_grad
    if not steps:
        raise ConfigError(
            f"accum_grad: {accum_grad} batches make an update, and an epoch has only "
            f"{len(iterator)}; lower it or the size of a batch"
        )
    return steps


def _progress(
    model, iterator, reporter: SubReporter, shown: bool, limit: int | None = None
) -> Progress:
    title = f"epoch {reporter.epoch} {reporter.key}"
    return Progress(iterator, title, model.student.rate, limit, shown)


def _add_to_curves(
    options: TrainerOptions, reporter: SubReporter, scalars: dict[str, float]
) -> None:
    Curves(Path(options.output_dir) / "curves.csv").add(reporter.epoch, reporter.key, scalars)


def _scalars(reporter: SubReporter, progress: Progress) -> dict[str, float]:
    """Means over the epoch of all that was reported, and the speed of all processes together."""
    speeds = [progress.speed]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        speeds = [0.0] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(speeds, progress.speed)
    means = {name: float(aggregate(values)) for name, values in reporter.stats.items()}
    return {**means, "seconds": progress.seconds, "audio_seconds_per_second": sum(speeds)}
