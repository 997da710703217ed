"""One's own folders of noises and rooms."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_robust.bin import prepare_noise
from espnet_robust.common.errors import UserError
from espnet_robust.common.recipe import check_noise
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.distortion.config import load_distortion
from espnet_robust.distortion.protocol import load_protocol


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with noise/ and rir/; the current directory is beside it."""
    monkeypatch.chdir(tmp_path)
    files = [f"noise/{kind}/{n}.wav" for kind in ("rain", "wind") for n in range(10)]
    files += [f"rir/room{n}/{position}.wav" for n in range(4) for position in "ab"]
    for number, name in enumerate(files):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        wav = np.random.default_rng(number).uniform(-0.1, 0.1, 1600)
        soundfile.write(tmp_path / "mine" / name, wav, 16000)
    return tmp_path / "mine"


def ids(name: str) -> set[str]:
    return set(read_data_dir(f"data/{name}").ids)


def test_dealt_to_training_dev_and_test(own, root, monkeypatch):
    prepare_noise.main(["mine"])
    noise = {part: ids(f"noise_{part}") for part in ("train", "dev", "test")}
    assert {part: len(found) for part, found in noise.items()} == {"train": 16, "dev": 2, "test": 2}
    assert len(set().union(*noise.values())) == 20
    rooms = {part: ids(f"rir_{part}") for part in ("train", "dev", "test")}
    assert {part: len(found) for part, found in rooms.items()} == {"train": 4, "dev": 2, "test": 2}
    assert len(set().union(*rooms.values())) == 8
    check_noise("mine", {}, Path("data"))
    with pytest.raises(UserError, match="else: noise_source: mine -> synthetic"):
        check_noise("synthetic", {}, Path("data"))
    prepare_noise.main(["--noise", "mine/noise", "--rir", "mine/rir", "--out", "other", "own"])
    (own.parent / "data/train").mkdir()
    (own.parent / "data/train/wav.scp").write_text(f"a {own}/noise/rain/0.wav\n")
    # What the recipe trains and tests with asks for these data dirs and no others.
    made = {f"data/{kind}_{part}" for kind in ("noise", "rir") for part in ("train", "dev", "test")}
    used = set(load_distortion(root / "conf/distortion/train.yaml").data_dirs) - {"data/train"}
    for condition in load_protocol(root / "conf/distortion/own_test.yaml"):
        used |= set(condition.distorter.data_dirs)
    assert {str(path) for path in used} <= made


def test_too_few(own):
    for room in ("room1", "room2"):
        for file in (own / "rir" / room).iterdir():
            file.unlink()
        (own / "rir" / room).rmdir()
    with pytest.raises(UserError, match="room0, room3: need three, for training, dev and test"):
        prepare_noise.main(["mine"])


def test_folders_that_are_not_there(own):
    with pytest.raises(
        UserError, match="--noise mine/noise/noise: no such directory; it holds three or more audio"
    ):
        prepare_noise.main(["mine/noise"])
