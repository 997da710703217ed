from pathlib import Path

import pytest

from espnet_robust.score.metrics import WER
from espnet_robust.score.reading import read_runs
from espnet_robust.score.results import gather
from espnet_robust.score.study import study
from espnet_robust.score.summary import groups, summary
from test.score.made import scores, write_all

MINI = (
    "clean", "noise_in_snr20", "noise_in_snr0", "noise_out_snr20", "noise_out_snr0", "reverb_in",
    "noise_reverb_in", "clip", "pitch",
)  # fmt: skip


def run(system: str, wer: float, seed: int = 0, names=MINI):
    return scores(system, seed, {name: wer + n for n, name in enumerate(names)})


def shown(tmp_path: Path, *runs, baseline: str = "") -> str:
    return summary(study(read_runs(write_all(tmp_path, *runs)), WER, baseline))


def test_groups_of_conditions():
    assert groups(gather([run("a", 1)])) == {
        "clean": ["clean"],
        "noise in": ["noise_in_snr20", "noise_in_snr0"],
        "noise out": ["noise_out_snr20", "noise_out_snr0"],
        "rooms": ["reverb_in", "noise_reverb_in"],
        "other": ["clip", "pitch"],
    }
    many = [f"{kind}_snr{snr}" for kind in ("musan", "wham", "white", "dns") for snr in (20, 0)]
    assert list(groups(gather([run("a", 1, names=["clean", *many])]))) == ["clean", "noise"]


def test_summary_fits_a_terminal(tmp_path: Path):
    runs = [run(name, wer, seed) for name, wer in (("base", 40), ("a_long_name", 20))
            for seed in (0, 1)]  # fmt: skip
    lines = shown(tmp_path, *runs, baseline="base").splitlines()
    assert lines[0] == "Word error rate, %, mean over 2 seeds"
    assert max(map(len, lines)) <= 100
    a, base = (next(line for line in lines if line.startswith(name)) for name in ("a_", "base"))
    assert a.split()[:9] == [
        "a_long_name", "20.0", "21.5", "23.5", "25.5", "27.5", "24.5", "-45", "%",
    ]  # fmt: skip
    assert a.split()[9] == "-20.0" and a.split()[10].startswith("[-2")
    assert base.split()[-2:] == ["-", "-"]


@pytest.mark.parametrize("names", [("clean",), ("clip",)])
def test_without_a_baseline_or_distorted_conditions(tmp_path, names):
    assert shown(tmp_path, run("a", 1, names=names)).splitlines()[-1].split()[:2] == ["a", "1.0"]
