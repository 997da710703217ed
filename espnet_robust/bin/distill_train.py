"""Distil a teacher into a student, with the options of ESPnet's training commands."""

from collections.abc import Sequence

import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet
from espnet_robust.common.cli import run
from espnet_robust.distill.task import DistillTask
from espnet_robust.plugin.training import hook_trainings

hook_trainings()  # at module level, because the processes of multi-GPU training import it too


def get_parser():
    return DistillTask.get_parser()


def main(cmd: Sequence[str] | None = None) -> None:
    DistillTask.main(cmd=cmd)


if __name__ == "__main__":
    run(main)
