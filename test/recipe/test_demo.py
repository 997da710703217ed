"""What ``make demo`` runs: a budget, systems and tokens that exist, and that ESPnet takes."""

import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from espnet2.tasks.asr import ASRTask

from espnet_robust.bin.demo import get_parser as live_page
from espnet_robust.bin.distill_train import get_parser
from espnet_robust.bin.make_tokens import main as make_tokens
from espnet_robust.common.experiment import NOT_DISTILLED, Recipe, check_system, resolve
from espnet_robust.corpora.mini import plan_utterances
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


def test_its_trainings(demo, tmp_path):
    register(("asr",))
    for system in demo["systems"].split():
        check_system(system, MINI)
        asr = resolve("asr", system, MINI, demo["budget"])
        args = read(ASRTask.get_parser().parse_args, asr, tmp_path / "asr.yaml")
        assert args.scheduler_conf["total_steps"] == args.max_epoch * args.num_iters_per_epoch
        # Laid over the rest of ESPnet's options for masks, not in their place.
        assert args.specaug_conf["freq_mask_width_range"][1] > 30
        assert args.specaug_conf["num_time_mask"] == 3
        if system in NOT_DISTILLED:
            continue
        distil = resolve("distill", system, MINI, demo["budget"])
        args = read(lambda words: parse(get_parser(), words), distil, tmp_path / "distil.yaml")
        assert args.scheduler_conf["total_steps"] == args.max_epoch * args.num_iters_per_epoch


def test_the_live_page_runs_on_what_it_made(demo):
    assert live_page().parse_args([]).exp == Path("exp") / demo["budget"]


def test_its_tokens(demo, tmp_path):
    """Sentencepiece refuses fewer than there are letters, and more than the sentences support."""
    texts = [item["text"].upper() for item in plan_utterances(0, {"train": 66})["train"]]
    (tmp_path / "text").write_text("".join(f"{n:04d} {text}\n" for n, text in enumerate(texts)))
    out = tmp_path / "tokens"
    make_tokens(
        ["--type", "bpe", "--size", demo["nbpe"], "--out", str(out), str(tmp_path / "text")]
    )
    tokens = (out / "tokens.txt").read_text().split()
    assert len(tokens) == int(demo["nbpe"]) + 2  # blank, and sentence ends
    assert set("".join(texts)) - {" "} <= set(tokens)


def test_its_trainings_hear_at_most_half_of_what_short_ones_do(demo):
    for task, system in (("asr", "teacher"), ("distill", "distilhubert"), ("distill", "cdm2_dat")):
        assert heard(task, system, demo["budget"]) <= 0.5 * heard(task, system, "short")


def test_its_mixture_is_the_recipes_with_more_clean_speech(demo):
    mixtures = [
        resolve("distill", "cdm2_dat", MINI, b)["distortion"] for b in (demo["budget"], "short")
    ]
    assert [clean_share(mixture) for mixture in mixtures] == pytest.approx([0.4, 3 / 7 / 2])
    assert without_clean(mixtures[0]) == without_clean(mixtures[1])


def clean_share(mixture: dict) -> float:
    """The probability that none of its steps changes an utterance."""
    share = 1.0
    for step in mixture["chain"]:
        weights = {kind["name"]: kind.get("weight", 1) for kind in step["one_of"]}
        share *= weights["clean"] / sum(weights.values())
    return share


def without_clean(mixture: dict) -> dict:
    chain = [
        [kind for kind in step["one_of"] if kind["name"] != "clean"] for step in mixture["chain"]
    ]
    return mixture | {"chain": chain}


def heard(task: str, system: str, budget: str) -> float:
    """Samples in all batches of a training, about."""
    config = resolve(task, system, MINI, budget)
    return config["max_epoch"] * config["num_iters_per_epoch"] * config["batch_bins"]
