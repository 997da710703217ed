"""Every YAML in conf/distortion loads and runs, given the data dirs it names."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from espnet_robust.distortion import load_distortion, rng_for
from espnet_robust.distortion.protocol import load_protocol

CONFIGS = sorted((Path(__file__).parents[2] / "conf" / "distortion").glob("*.yaml"))


@pytest.fixture
def base_dir(tmp_path, material):
    for config in CONFIGS:
        for name in re.findall(r"(?:noise|rir|speech): (data/\w+)", config.read_text()):
            what = "rir" if "rir" in name else "noise"
            shutil.copytree(material / what, tmp_path / name, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_loads_and_runs(path, base_dir, speech):
    if "sox_" in path.read_text() and shutil.which("sox") is None:
        pytest.skip("sox is not installed")
    if "conditions" in yaml.safe_load(path.read_text()):
        conditions = load_protocol(path, base_dir=base_dir)
        names = [made.condition.name for made in conditions]
        assert len(names) == len(set(names)) >= 5
        distorters = [made.distorter for made in conditions]
        assert all("clean" not in d.draw(rng_for(0, "a"), 9000)["domain"] for d in distorters)
    else:
        distorters = [load_distortion(path, base_dir=base_dir)]
    for distorter in distorters:
        out, record = distorter(speech[:16000], "a", seed=0)
        assert np.isfinite(out).all()
        assert record["domain"] in distorter.kinds


def test_paper_double_leaves_a_sixteenth_clean(base_dir):
    path = next(path for path in CONFIGS if path.stem == "paper_double")
    distorter = load_distortion(path, base_dir=base_dir)
    assert len(distorter.kinds) == 16
    domains = [distorter.draw(rng_for(0, str(i)), 100)["domain"] for i in range(1500)]
    assert domains.count("clean") / 1500 == pytest.approx(1 / 16, abs=0.02)


def test_snrs_of_the_mini_test(base_dir):
    path = next(path for path in CONFIGS if path.stem == "mini_test")
    conditions = [made.condition for made in load_protocol(path, base_dir=base_dir)]
    snrs = {condition.name: condition.snr_db for condition in conditions}
    assert snrs["noise_in_snr5"] == 5 and snrs["noise_reverb_out"] == 10
    assert snrs["reverb_in"] is None
    assert len(snrs) == 15
