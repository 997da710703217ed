from pathlib import Path

import pytest

from espnet_robust.score.counts import Counts, Edits
from espnet_robust.score.metrics import WER
from espnet_robust.score.results import gather
from espnet_robust.score.schema import ConditionScore, Scores, write_counts
from espnet_robust.score.summary import groups, summary

MINI = (
    "clean", "noise_in_snr20", "noise_in_snr0", "noise_out_snr20", "noise_out_snr0", "reverb_in",
    "noise_reverb_in", "clip", "pitch",
)  # fmt: skip


def scores(system: str, wer: float, seed: int = 0, names=MINI) -> Scores:
    conditions = []
    for n, name in enumerate(names):
        snr = float(name.rpartition("_snr")[2]) if "_snr" in name else None
        rate = wer + n
        conditions.append(ConditionScore(name, 2, snr, words=100, wer=rate, cer=rate))
    return Scores("asr", system, seed, tuple(conditions))


def test_groups_of_conditions():
    assert groups(gather([scores("a", 1)])) == {
        "clean": ["clean"],
        "noise in": ["noise_in_snr20", "noise_in_snr0"],
        "noise out": ["noise_out_snr20", "noise_out_snr0"],
        "rooms": ["reverb_in", "noise_reverb_in"],
        "other": ["clip", "pitch"],
    }
    many = [f"{kind}_snr{snr}" for kind in ("musan", "wham", "white", "dns") for snr in (20, 0)]
    assert list(groups(gather([scores("a", 1, names=["clean", *many])]))) == ["clean", "noise"]


def test_summary_fits_a_terminal(tmp_path: Path):
    runs = [
        scores(name, wer, seed)
        for name, wer in (("base", 40), ("a_long_name", 20))
        for seed in (0, 1)
    ]
    directories = {}
    for run in runs:
        directories[run.system, run.seed] = out = tmp_path / f"{run.system}{run.seed}"
        out.mkdir()
        counts = {
            c.name: {
                utt: Counts(utterances=1, words=Edits(ref=50, sub=round(c.wer / 2)))
                for utt in ("u1", "u2")
            }
            for c in run.conditions
        }
        write_counts(out / "counts.tsv", counts)
    lines = summary(gather(runs), WER, "base", directories).splitlines()
    assert lines[0] == "Word error rate, %, mean over 2 seeds"
    assert max(map(len, lines)) <= 100
    a, base = (next(line for line in lines if line.startswith(name)) for name in ("a_", "base"))
    assert a.split() == [
        "a_long_name", "20.0", "21.5", "23.5", "25.5", "27.5", "24.5", "-45", "%", "-20.0",
        "[-20.0,", "-20.0]",
    ]  # fmt: skip
    assert base.split()[-2:] == ["-", "-"]


@pytest.mark.parametrize("names", [("clean",), ("clip",)])
def test_without_a_baseline_or_distorted_conditions(names):
    shown = summary(gather([scores("a", 1, names=names)]), WER, "", {})
    assert shown.splitlines()[-1].split()[:2] == ["a", "1.0"]
