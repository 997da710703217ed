"""Protocols of one run, side by side."""

from pathlib import Path

import pytest

from espnet_robust.common.errors import ConfigError
from espnet_robust.recipe.protocols import check_conditions

NOISE = "{chain: [{name: noise, noise: data/noise}]"


@pytest.fixture(autouse=True)
def protocols(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(f"conditions: {{noise: {NOISE}, each_snr_db: [5, 10]}}}}\n")


def test_the_same_condition_may_be_in_two(tmp_path):
    """Whatever the way it is written, and although there are no noises yet."""
    same = f"snr_db: 5\nconditions: {{noise_snr5: {NOISE}}}, clip: {{chain: [clip]}}}}\n"
    Path("b.yaml").write_text(same)
    check_conditions(["a.yaml", "b.yaml"])


def test_others_of_the_same_name_are_refused():
    Path("b.yaml").write_text("conditions: {noise_snr10: {chain: [white], snr_db: 10}}\n")
    with pytest.raises(ConfigError, match="a.yaml and b.yaml both have a condition noise_snr10,"):
        check_conditions(["a.yaml", "b.yaml"])
    check_conditions(["b.yaml"])
