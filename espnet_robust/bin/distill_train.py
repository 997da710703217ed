"""Distil a teacher into a student; the options are those of ESPnet's training commands."""

from collections.abc import Sequence

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
from espnet_robust.common.cli import run
from espnet_robust.distill.task import DistillTask
from espnet_robust.plugin.training import hook_trainings

hook_trainings()  # here: the processes of a training on several GPUs import this module too


def get_parser():
    return DistillTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    DistillTask.main(cmd=cmd)


if __name__ == "__main__":
    run(main)
