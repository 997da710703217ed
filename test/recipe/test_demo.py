"""What ``make demo`` runs: a budget, systems and tokens that exist, and that ESPnet takes."""

import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from espnet2.tasks.asr import ASRTask

from espnet_robust.bin.distill_train import get_parser
from espnet_robust.common.experiment import NOT_DISTILLED, Recipe, check_system, resolve
from espnet_robust.distill.options import parse
from espnet_robust.plugin.registration import register

ROOT = Path(__file__).parents[2]
MINI = Recipe(ROOT / "egs/mini/asr1")


@pytest.fixture(scope="module")
def demo() -> dict[str, str]:
    """The options that it gives to run.sh."""
    lines = subprocess.check_output(["make", "-n", "demo"], cwd=ROOT, text=True).splitlines()
    command = next(line for line in lines if "./run.sh --budget" in line and "echo" not in line)
    words = shlex.split(command.partition("./run.sh ")[2])
    return dict(zip((w.removeprefix("--") for w in words[::2]), words[1::2], strict=True))


def read(parser, config: dict, path: Path):
    path.write_text(yaml.safe_dump(config))
    return parser(["--config", str(path)])


@pytest.mark.parametrize("quick", [False, True])
def test_its_trainings(demo, quick, tmp_path):
    """Those of the demo, and of the budget that takes less time."""
    register(("asr",))
    budget = "quick" if quick else demo["budget"]
    for system in demo["systems"].split():
        check_system(system, MINI)
        asr = resolve("asr", system, MINI, budget)
        args = read(ASRTask.get_parser().parse_args, asr, tmp_path / "asr.yaml")
        assert args.scheduler_conf["total_steps"] == args.max_epoch * args.num_iters_per_epoch
        assert (args.encoder_conf["dropout"] == 0) == quick
        if system in NOT_DISTILLED:
            continue
        distil = resolve("distill", system, MINI, budget)
        args = read(lambda words: parse(get_parser(), words), distil, tmp_path / "distil.yaml")
        assert args.scheduler_conf["total_steps"] == args.max_epoch * args.num_iters_per_epoch


def test_quick_trainings_hear_at_most_four_tenths_of_what_short_ones_do():
    for task, system in (("asr", "teacher"), ("distill", "distilhubert"), ("distill", "cdm2_dat")):
        assert heard(task, system, "quick") <= 0.4 * heard(task, system, "short")


def heard(task: str, system: str, budget: str) -> float:
    """Samples in all batches of a training, about."""
    config = resolve(task, system, MINI, budget)
    return config["max_epoch"] * config["num_iters_per_epoch"] * config["batch_bins"]
