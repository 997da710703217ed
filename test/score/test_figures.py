from pathlib import Path

import numpy as np
import pytest

from espnet_robust.common.errors import UserError
from espnet_robust.score.figures import (
    by_group,
    degradation,
    doubling_snr,
    series,
    shown_group,
    speaker_groups,
)
from espnet_robust.score.metrics import ACCURACY, WER
from espnet_robust.score.reading import read_runs
from espnet_robust.score.results import gather
from espnet_robust.score.significance import Estimates
from espnet_robust.score.study import study
from test.score.made import accuracies, scores, write_all

CURVE = {"clean": 10.0, "noise_snr20": 15.0, "noise_snr10": 25.0, "noise_snr0": 60.0}


def studied(tmp_path: Path, *runs, metric=WER):
    return study(read_runs(write_all(tmp_path, *runs)), metric)


def test_series_by_falling_snr_and_rising_rt60():
    names = ["noise_in_snr5", "noise_in_snr20", "noise_out_snr10", "clip", "clean",
             "room_rt60_0.9", "room_rt60_0.3"]  # fmt: skip
    found = series(gather([scores("a", wers=dict.fromkeys(names, 1.0))]))
    assert [(s.name, s.axis, dict(s.points)) for s in found] == [
        ("noise_in", "SNR, dB", {"noise_in_snr20": 20, "noise_in_snr5": 5}),
        ("room", "RT60, s", {"room_rt60_0.3": 0.3, "room_rt60_0.9": 0.9}),
    ]
    assert [list(s.points) for s in found][1] == ["room_rt60_0.3", "room_rt60_0.9"]


@pytest.mark.parametrize(
    ("clean", "expected"),
    [
        (10.0, "15.0"),  # 20 % lies half way from 15 % at 20 dB to 25 % at 10 dB
        (5.0, "> 20"),
        (12.5, "10.0"),
        (40.0, "< 0"),
        (0.0, None),
    ],
)
def test_snr_at_which_errors_double(tmp_path, clean, expected):
    found = studied(tmp_path, scores("a", wers=CURVE | {"clean": clean}))
    assert doubling_snr(found, "a", series(found.results)[0]) == expected


def test_no_doubling_without_all_rates(tmp_path):
    found = studied(tmp_path, scores("a", wers=CURVE), scores("b", wers={"clean": 5.0}))
    assert doubling_snr(found, "b", series(found.results)[0]) is None


def test_degradation(tmp_path):
    found = studied(tmp_path, scores("a", wers=CURVE))
    assert degradation(found, "a") == (pytest.approx(70 / 3), pytest.approx(10 / 3))
    alone = studied(tmp_path / "alone", scores("a", wers={"clean": 5.0}))
    assert degradation(alone, "a") is None
    accuracy = studied(tmp_path / "c", accuracies("a", clean=90.0, x=60.0, y=80.0), metric=ACCURACY)
    assert degradation(accuracy, "a") == (-20, 3)  # errors, not accuracy, are three times as many


def test_by_group_of_speakers(tmp_path):
    found = studied(tmp_path, scores("a", seed=1), scores("b", seed=1))
    groups = by_group(found, {"s0": "f", "s1": "f", "s2": "m", "s3": "m"})
    assert groups.groups == {"f": 2, "m": 2}
    table = found.reading.runs[0].counts["clean"]
    women = np.array([speaker in ("s0", "s1") for speaker in table.speakers])
    rate = 100 * table.words[women, 1].sum() / table.words[women, 0].sum()
    clean, _ = groups.rates["a", "f"]
    assert clean.value == [rate] and clean.low <= clean.value <= clean.high
    assert shown_group(WER, clean).startswith(f"{rate:.1f} [")
    both = (groups.rates["a", g][1].value[0] for g in "fm")
    assert sum(both) / 2 == pytest.approx(40)  # as many words in each group


def test_an_accuracy_of_a_group_is_not_below_0():
    rate = Estimates(*(np.array([x]) for x in (60.0, 0.0, 130.0, 0.5)))  # errors
    assert shown_group(ACCURACY, rate) == "40.0 [0.0, 100.0]"
    assert shown_group(WER, rate) == "60.0 [0.0, 130.0]"  # insertions


def test_one_group_is_none(tmp_path):
    assert by_group(studied(tmp_path, scores("a")), dict.fromkeys(("s0", "s1"), "f")) is None


def test_groups_are_found_beside_the_speech(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reading = read_runs(write_all(tmp_path, scores("a")))
    assert speaker_groups(reading, None) == {}
    table = tmp_path / "groups"
    table.write_text("s0 north\ns1 south\ns9 south\n")
    assert speaker_groups(reading, table) == {"s0": "north", "s1": "south"}
    table.write_text("s9 south\n")
    with pytest.raises(UserError, match="groups: none of its speakers is in the test sets"):
        speaker_groups(reading, table)
