"""What was packed loads elsewhere, and its card says what the run did."""

import functools
import importlib.util
import re
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest
import soundfile
import torch
import yaml
from espnet2.bin.asr_inference import Speech2Text
from espnet2.main_funcs.pack_funcs import get_dict_from_cache, unpack

from espnet_robust.bin import pack
from espnet_robust.common.errors import ModelError, UserError
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student, load_student, save_student
from espnet_robust.publish.pack import copy_student, pack_system, portable
from espnet_robust.score.schema import read_scores

GREEDY = {"ctc_weight": 1.0, "beam_size": 2}


def hear(recognise, speech):
    return {
        path.stem: recognise(soundfile.read(path, dtype="float32")[0])[0][0]
        for path in sorted(speech.glob("*.wav"))
    }


@pytest.fixture(scope="module")
def heard(trained, speech):
    """What the trained model hears where it was trained."""
    exp = trained / "asr"
    return hear(Speech2Text(exp / "config.yaml", exp / "valid.loss.best.pth", **GREEDY), speech)


@pytest.fixture
def elsewhere(packed, trained, tmp_path, monkeypatch):
    """Another place, where there is nothing of the experiment but what was packed."""
    shutil.copytree(packed, tmp_path / "packed")
    monkeypatch.chdir(tmp_path)
    gone = trained.with_name("gone")
    trained.rename(gone)
    yield tmp_path / "packed"
    gone.rename(trained)


@pytest.fixture
def model_zoo(tmp_path, monkeypatch):
    """espnet_model_zoo, or a stand-in for the one call that ESPnet makes of it on a local file."""
    if importlib.util.find_spec("espnet_model_zoo") is None:

        class ModelDownloader:
            def download_and_unpack(self, name):
                return unpack(name, tmp_path / "unpacked")

        downloader = types.ModuleType("espnet_model_zoo.downloader")
        downloader.ModelDownloader = ModelDownloader
        monkeypatch.setitem(sys.modules, "espnet_model_zoo", types.ModuleType("espnet_model_zoo"))
        monkeypatch.setitem(sys.modules, "espnet_model_zoo.downloader", downloader)
        return
    from espnet_model_zoo import downloader

    cached = functools.partial(downloader.ModelDownloader, cachedir=tmp_path / "cache")
    monkeypatch.setattr(downloader, "ModelDownloader", cached)


def test_espnets_from_pretrained_takes_it(elsewhere, heard, speech, model_zoo):
    recognise = Speech2Text.from_pretrained(str(elsewhere / "asr.zip"), **GREEDY)
    assert hear(recognise, speech) == heard
    assert any(heard.values())


def test_the_directory_is_the_archive(elsewhere, heard, speech):
    with zipfile.ZipFile(elsewhere / "asr.zip") as archive:
        names = set(archive.namelist())
        assert names == {path.name for path in (elsewhere / "asr").iterdir()}
        assert all(archive.read(n) == (elsewhere / "asr" / n).read_bytes() for n in names)
    assert names == {"README.md", "config.yaml", "meta.yaml", "valid.loss.best.pth"}
    meta = yaml.safe_load((elsewhere / "asr/meta.yaml").read_text())
    files = {**meta["yaml_files"], **meta["files"]}
    recognise = Speech2Text(**{k: elsewhere / "asr" / v for k, v in files.items()}, **GREEDY)
    assert hear(recognise, speech) == heard


def test_the_student_loads(elsewhere, student_dir):
    theirs, ours = load_student(elsewhere / "student"), load_student(student_dir)
    expected = ours.state_dict()
    assert all(torch.equal(w, expected[k]) for k, w in theirs.state_dict().items())


PLAIN = """
import sys, torch
from transformers import AutoFeatureExtractor, AutoModel

path, trust, wav, out = sys.argv[1:]
model = AutoModel.from_pretrained(path, trust_remote_code=trust == "True").eval()
assert AutoFeatureExtractor.from_pretrained(path).sampling_rate == 16000
with torch.inference_mode():
    torch.save(model(torch.load(wav), output_hidden_states=True).hidden_states, out)
assert not [name for name in sys.modules if name.startswith("espnet")]
"""


def states_in_transformers(student, wav, tmp_path):
    """The hidden states of a directory that transformers loads without this package."""
    torch.save(wav, tmp_path / "wav")
    trust = any(student.glob("modeling_*.py"))
    arguments = map(str, (student, trust, tmp_path / "wav", tmp_path / "out"))
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PLAIN, *arguments], check=True, cwd=tmp_path,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return torch.load(tmp_path / "out")


def same_states(student, path, tmp_path):
    wav = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    wav = (wav - wav.mean()) / wav.std(correction=0)
    with torch.inference_mode():
        expected = student(wav, torch.tensor([4000])).states
    theirs = states_in_transformers(path, wav, tmp_path)
    for layer, state in expected.items():
        torch.testing.assert_close(theirs[layer], state, atol=1e-5, rtol=1e-5)


def test_transformers_loads_the_student(elsewhere, student_dir, tmp_path):
    same_states(load_student(student_dir), elsewhere / "student", tmp_path)


def test_transformers_loads_a_student_with_code_of_its_own(teacher_dir, tmp_path):
    config = StudentConfig(kind="lstm", init="random", overrides={"hidden_size": 12})
    student = build_student(load_teacher(teacher_dir), config).eval()
    save_student(student, tmp_path / "student", {})
    copy_student(tmp_path / "student", tmp_path / "packed", "the card")
    shutil.rmtree(tmp_path / "student")
    assert list((tmp_path / "packed").glob("modeling_*.py"))
    assert (tmp_path / "packed/README.md").read_text() == "the card"
    same_states(student, tmp_path / "packed", tmp_path)


def test_a_student_of_the_first_version_is_packed_too(student_dir, tmp_path):
    """It has no files for transformers."""
    (tmp_path / "student").mkdir()
    for name in ("config.yaml", "model.safetensors"):
        shutil.copy(student_dir / name, tmp_path / "student")
    copy_student(tmp_path / "student", tmp_path / "packed", "")
    assert load_student(tmp_path / "packed")
    (tmp_path / "student/model.safetensors").unlink()
    with pytest.raises(ModelError, match="model.safetensors: not found; export the student again"):
        copy_student(tmp_path / "student", tmp_path / "again", "")


def test_no_path_of_this_machine_is_left(packed, recipe, speech):
    for path in packed.rglob("*"):
        if path.suffix in (".yaml", ".md", ".json", ".py"):
            text = path.read_text()
            assert str(recipe) not in text and str(speech) not in text, path
            assert not re.search(r"[ '\"]/(?:work|root|home|tmp|usr)/", text), path


def test_the_card(packed, trained):
    card = (packed / "asr/README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["library_name"] == "espnet" and front["license"] == "other"
    assert front["language"] == ["en"]
    clean = read_scores(trained / "scores.json").condition("clean")
    assert re.search(rf"\| clean \| 4 \| {clean.wer:.1f} \| \[[\d.]+, [\d.]+\] \|", card)
    assert 'from_pretrained("me/mini-cdm1_seed0-asr")' in card
    assert "    cd egs/mini/asr1\n    asr.sh --token_type char\n" in card
    assert "| teacher facebook/hubert-base-ls960 | Apache 2.0 |" in card
    assert "| synthetic noises | none needed |" in card
    assert "The teacher hears clean speech, the student distorted." in card
    assert "losses: l1 x 1.0" in card and "name: white" in card
    student = (packed / "student/README.md").read_text()
    assert "frontend: robust_student" in student and f"{clean.wer:.1f}" in student


def test_the_cards_code_runs(elsewhere, speech, model_zoo, monkeypatch, capsys):
    card = (elsewhere / "asr/README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    shutil.copy(speech / "u0.wav", "speech.wav")
    # The hub is not asked here: what is there in its place is the archive.
    exec(code.replace("me/mini-cdm1_seed0-asr", str(elsewhere / "asr.zip")), names := {})
    assert capsys.readouterr().out.rstrip("\n").endswith(names["text"])


def test_packing_again_replaces_it_whole(packed, trained, recipe):
    (packed / "asr/old").write_text("")
    pack.main([str(trained), "--recipe", str(recipe)])
    assert not (packed / "asr/old").exists()
    assert sorted(p.name for p in packed.iterdir()) == ["asr", "asr.zip", "made_of.json", "student"]
    assert not list(packed.parent.glob(".packed*"))
    assert 'from_pretrained("asr.zip")' in (packed / "asr/README.md").read_text()


@pytest.fixture
def pack_into(monkeypatch):
    """pack_into(out): pack a system that is one empty archive."""

    def write(exp, checkpoint, task, card, out):
        (out / "asr.zip").write_text("new")

    facts = types.SimpleNamespace(scores=types.SimpleNamespace(task="asr"), provenance={})
    monkeypatch.setattr("espnet_robust.publish.pack.packed_card", lambda facts, repo: "")
    monkeypatch.setattr("espnet_robust.publish.pack.pack_model", write)
    return functools.partial(pack_system, Path("exp"), "x.pth", facts)


@pytest.mark.parametrize(
    ("held", "named"),
    [
        (["thesis.tex"], "thesis.tex"),
        (["asr.zip", "thesis.tex"], "thesis.tex"),
        (["asr", "student"], "asr"),  # the experiment itself
    ],
)
def test_a_directory_that_is_not_its_own_is_kept(tmp_path, monkeypatch, pack_into, held, named):
    for name in held:
        (tmp_path / "mine" / name).mkdir(parents=True)
    said = f"{tmp_path}/mine: would be replaced, but was not made by pack: it has {named} in it;"
    with pytest.raises(UserError, match=said):
        pack_into(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    with pytest.raises(UserError, match=said):
        pack_into(Path())
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([*held, "mine"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: is a file; name a directory with --out"):
        pack_into(tmp_path / "file")


def test_what_it_replaces_goes_only_when_the_new_one_is_there(tmp_path, monkeypatch, pack_into):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/asr.zip").write_text("old")
    with monkeypatch.context() as failing:

        def rename(path, to, real=Path.rename):
            if path.suffix == ".tmp":
                raise OSError("the disk fails")
            return real(path, to)

        failing.setattr(Path, "rename", rename)
        with pytest.raises(OSError, match="the disk fails"):
            pack_into(tmp_path / "link")
    assert (tmp_path / "link/asr.zip").read_text() == "old"
    pack_into(tmp_path / "link")
    assert (tmp_path / "link/asr.zip").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_files_that_inference_needs_go_along(tmp_path):
    for name in ("a/bpe.model", "b/bpe.model"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    first, second = (str(tmp_path / d / "bpe.model") for d in "ab")
    given = {"bpemodel": first, "normalize_conf": {"stats_file": second}, "again": first,
             "output_dir": str(tmp_path), "train_shape_file": [first]}  # fmt: skip
    config, files = portable(given)
    assert config["bpemodel"] == config["again"] == "bpe.model"
    assert config["normalize_conf"]["stats_file"] == "b_bpe.model"
    assert config["output_dir"] is None and config["train_shape_file"] == []
    assert {name: str(path) for name, path in files.items()} == {
        "bpe.model": first, "b_bpe.model": second,
    }  # fmt: skip
    assert get_dict_from_cache(tmp_path / "meta.yaml") is None


def test_files_of_one_name_never_take_each_others_place(tmp_path):
    paths = [tmp_path / name for name in ("f.txt", "a/x/f.txt", "b/x/f.txt", "c/x/f.txt")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path))
    config, files = portable(
        {"conf": {str(i): str(path) for i, path in enumerate([*paths, *paths])}}
    )
    names = ["f.txt", "x_f.txt", "2_x_f.txt", "3_x_f.txt"]
    assert list(config["conf"].values()) == [*names, *names]
    assert files == dict(zip(names, paths, strict=True))


def test_before_it_is_scored(trained, recipe, tmp_path):
    with pytest.raises(UserError, match="scores.json: not found; score the system first"):
        pack.main([str(tmp_path), "--recipe", str(recipe)])


def test_another_checkpoint(trained, recipe):
    with pytest.raises(ModelError, match="gone.pth: not found; has training finished"):
        pack.main([str(trained), "--recipe", str(recipe), "--checkpoint", "gone.pth"])
    assert not list(trained.glob(".packed*"))


def test_a_checkpoint_without_the_frozen_model(trained, recipe, tmp_path):
    exp = tmp_path / "cdm1_seed0"
    shutil.copytree(trained, exp)
    config = yaml.safe_load((exp / "asr/config.yaml").read_text())
    config |= {"use_adapter": True, "save_strategy": "required_grad_only"}
    (exp / "asr/config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match="lacks the frozen model.*train with `save_strategy: all`"):
        pack.main([str(exp), "--recipe", str(recipe), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
