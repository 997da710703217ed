"""One's own folders of noises and rooms, and mistakes in the YAML of a source."""

import inspect
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_robust.bin import prepare_noise
from espnet_robust.common import recipe
from espnet_robust.common.errors import ConfigError, UserError
from espnet_robust.common.recipe import check_noise
from espnet_robust.corpora import CORPORA
from espnet_robust.corpora.noise_source import check_corpora
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: []", "data []: need a list of corpora, such as [{corpus: mini_noise}]"),
        ("data: synthetic", "data 'synthetic': need a list of corpora"),
        ("data: 5", "data 5: need a list of corpora"),
        ("data: {corpus: esc50}", "data {'corpus': 'esc50'}: need a list of corpora"),
        ("data: [esc50]", "data ['esc50']: need a list of corpora"),
        ("data: [{root: x}]", "data: {'root': 'x'}: name its corpus"),
        ("data: [{corpus: esc}]", "data: unknown corpus 'esc', did you mean 'esc50'?"),
        ("data: [{corpus: [a]}]", "data: unknown corpus ['a']"),
        ("data: [{corpus: musan}]", "data: musan: missing option 'root'"),
        (
            "data: [{corpus: audio_folder, rot: x}]",
            "data: audio_folder: unknown option 'rot', did you mean 'root'?",
        ),
        ("data: [{corpus: musan, root: x, out: y}]", "data: musan: unknown option 'out'"),
        ("data: [{corpus: musan, root: x, 5: y}]", "data: musan: unknown option 5"),
        ("data: [{corpus: musan, root: 5}]", "data: musan: root 5: need the path of a directory"),
        ("data: [{corpus: mini_noise, seed: a}]", "mini_noise: seed 'a': need a whole number"),
        ("data: [{corpus: mini_noise, seed: no}]", "mini_noise: seed False: need a whole number"),
        ("data: [{corpus: musan, root: x, copy: 1}]", "musan: copy 1: need true or false"),
        (
            "data: [{corpus: esc50, root: x, dev_folds: [4]}]",
            "esc50: dev_folds [4]: need a list of texts, numbers in quotes",
        ),
        (
            "data: [{corpus: rir_folder, root: x, name: y, groups: z}]",
            "rir_folder: groups 'z': need a list of texts, numbers in quotes or nothing",
        ),
        (
            "data: [{corpus: audio_folder, root: x, name: y, group_by: foldr}]",
            "audio_folder: group_by: unknown 'foldr'",
        ),
        (
            "data: [{corpus: rirs_noises, root: x, kind: reel}]",
            "rirs_noises: kind: unknown 'reel', did you mean 'real'?",
        ),
        ("protocols: 5", "protocols 5: need a list of YAMLs; [] for none"),
        ("protocols: [5]", "protocols [5]: need a list of YAMLs"),
        ("directories: [noise]", "directories ['noise']: need options and what they hold"),
        ("directories: {noise: 5}", "directories {'noise': 5}: need options and what they hold"),
        ("directories: {nois: x}", "directories: unknown 'nois', did you mean 'noise'?"),
    ],
)
def test_mistakes_in_a_source(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipe, "CONF", tmp_path)
    path = tmp_path / "noise/mine.yaml"
    path.parent.mkdir()
    whole = {"data": "[{corpus: mini_rooms}]", "protocols": "[]"}
    key, _, value = text.partition(": ")
    path.write_text("\n".join(f"{k}: {v}" for k, v in (whole | {key: value}).items()))
    with pytest.raises(ConfigError) as e:
        prepare_noise.main(["mine"])
    assert str(e.value).startswith(f"{path}: ") and message in str(e.value)
    assert "\n" not in str(e.value)
    assert not Path("data").exists()


@pytest.mark.parametrize("name", ["esc10", "own", "paper", "paper_train", "synthetic"])
def test_shipped_sources_have_options_that_there_are(name):
    check_corpora(name)


@pytest.mark.parametrize("corpus", CORPORA)
def test_options_of_every_corpus_have_types_that_are_checked(tmp_path, monkeypatch, corpus):
    parameters = inspect.signature(import_module(f"espnet_robust.corpora.{corpus}").prepare)
    monkeypatch.setattr(recipe, "CONF", tmp_path)
    (tmp_path / "noise").mkdir()
    for name in list(parameters.parameters)[1:]:
        text = f"protocols: []\ndata: [{{corpus: {corpus}, {name}: {{}}}}]"
        (tmp_path / "noise/mine.yaml").write_text(text)
        with pytest.raises(ConfigError, match=f"{corpus}: {name} {{}}: need "):
            check_corpora("mine")
