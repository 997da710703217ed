"""A recogniser on a student, through ESPnet's own commands: train, decode, pack, unpack."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from espnet2.bin import asr_inference, asr_train, pack
from espnet2.main_funcs.pack_funcs import unpack

import espnet_robust
from espnet_robust.bin import decode as decode_command
from espnet_robust.bin import make_tokens
from espnet_robust.common.errors import ConfigError
from espnet_robust.data.audio import read_audio
from espnet_robust.data.data_dir import read_data_dir
from espnet_robust.models.student import read_student_weights
from espnet_robust.recognise.decode import load_recogniser
from test.espnet_runs import train_espnet

TOKENS = ["<blank>", "<unk>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "<sos/eos>"]
CONFIG = {
    "token_type": "char",
    "frontend": "robust_student",
    "encoder": "blstm",
    "encoder_conf": {"num_layers": 1, "hidden_size": 16, "output_size": 16, "subsample": [1]},
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 16, "num_blocks": 1},
    "model_conf": {"ctc_weight": 0.5},
    "optim": "adamw",
    "optim_conf": {"lr": 0.02},
    "batch_type": "sorted",
    "batch_size": 3,
    "num_iters_per_epoch": 2,
    "max_epoch": 2,
    "num_workers": 0,
    "use_tensorboard": False,
    "num_att_plot": 0,
}
TRAINED = "2epoch.pth"


@pytest.fixture(scope="module", autouse=True)
def registered():
    espnet_robust.register()


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data dir: A is a low tone, B a high one, C noise."""
    out = tmp_path_factory.mktemp("data") / "test"
    out.mkdir()
    rng = np.random.default_rng(0)
    time = np.arange(3200) / 16000
    sounds = {"A": np.sin(2 * np.pi * 200 * time), "B": np.sin(2 * np.pi * 2000 * time)}
    tables = {"wav.scp": [], "text": [], "utt2spk": [], "utt2num_samples": []}
    for i, text in enumerate(["ABC", "CA", "BBA", "CB", "A", "BC"]):
        wav = [0.1 * sounds.get(letter, rng.standard_normal(3200)) for letter in text]
        path = out / f"u{i}.wav"
        soundfile.write(path, np.concatenate(wav), 16000)
        for table, value in zip(tables, (path, text, f"u{i}", 3200 * len(text)), strict=True):
            tables[table].append(f"u{i} {value}\n")
    for table, lines in tables.items():
        (out / table).write_text("".join(lines))
    return out


def train(out: Path, data: Path, config: dict) -> Path:
    """As ``python -m espnet_robust.run espnet2.bin.asr_train`` with these options."""
    out.mkdir()
    return train_espnet(asr_train.main, out, data, config, TOKENS)


def texts(path: Path) -> dict[str, str]:
    lines = (line.split(maxsplit=1) for line in path.read_text().splitlines())
    return {line[0]: line[1] if len(line) > 1 else "" for line in lines}


def infer(data: Path, out: Path, **files: Path) -> dict[str, str]:
    """As ``python -m espnet_robust.run espnet2.bin.asr_inference``."""
    options = ["--output_dir", out, "--data_path_and_name_and_type",
               f"{data}/wav.scp,speech,sound", "--beam_size", 3]  # fmt: skip
    for name, path in files.items():
        options += [f"--{name}", path]
    asr_inference.main([str(option) for option in options])
    return texts(out / "1best_recog/text")


@pytest.fixture
def readme_section(root) -> dict[str, list[str]]:
    """Language -> the code blocks of README's "Use it in an ESPnet you have", EZ's behind them."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    section = readme.split("## Use it in an ESPnet you have")[1].split("\n## ")[0]
    plugin = (root / "espnet_robust/plugin/README.md").read_text(encoding="utf-8")
    section += plugin.split("## ESPnet-EZ")[1]
    blocks = {}
    for language, code in re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL):
        blocks.setdefault(language, []).append(code)
    return blocks


@pytest.fixture
def espnet_ez(monkeypatch):
    """``espnetez``; stand-ins for what it imports and only text-to-speech uses."""
    if importlib.util.find_spec("espnetez") is None:
        pytest.skip("ESPnet-EZ is part of ESPnet up to 202511")
    for name in ("pyworld", "six"):
        if importlib.util.find_spec(name) is None:
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    return importlib.import_module("espnetez")


@pytest.fixture
def readme_files(readme_section, data, student_dir, tmp_path, monkeypatch):
    """The files that README's examples name, in the current directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(student_dir, "exp/student")
    letters = ["ABCDEF", "GHIJ", "KLMNOP", "QRST", "UV", "WXYZ"]  # more than Speech2Text's beam
    for split in ("train", "dev"):
        shutil.copytree(data, f"data/{split}")
        rows = (f"u{i} {text}\n" for i, text in enumerate(letters))
        Path(f"data/{split}/text").write_text("".join(rows))
    shutil.copy(data / "u0.wav", "speech.wav")
    Path("conf").mkdir()
    (config,) = readme_section["yaml"]
    Path("conf/train.yaml").write_text(config)
    tokens, _ = readme_commands(readme_section)
    make_tokens.main(tokens[2:])


def readme_commands(readme_section) -> list[list[str]]:
    (block,) = readme_section["bash"]
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]


def test_readme_is_true(readme_section, readme_files, capsys):
    program, subcommand, module, *options = readme_commands(readme_section)[1]
    assert (program, subcommand) == ("espnet-robust", "run")
    importlib.import_module(module).main(options)

    recognise, _ = readme_section["python"]
    shutil.rmtree("exp/student")
    names = {}
    exec(recognise, names)
    assert isinstance(names["text"], str)


def test_readme_is_true_of_espnet_ez(readme_section, readme_files, espnet_ez):
    _, ez = readme_section["python"]
    exec(ez, {})
    weights = torch.load("exp/ez/valid.loss.best.pth")
    assert "frontend.layer_weights" in weights


@pytest.fixture(scope="module")
def trained(data, student_dir, tmp_path_factory):
    """(experiment, its decoding while the student was still there); the student is gone now."""
    out = tmp_path_factory.mktemp("asr")
    shutil.copytree(student_dir, out / "student")
    conf = {"student": {"path": str(out / "student")}}
    more = {"num_iters_per_epoch": 40, "init": "xavier_uniform"}
    exp = train(out / "run", data, CONFIG | {"frontend_conf": conf, **more})
    before = infer(data, out / "before", asr_train_config=exp / "config.yaml",
                   asr_model_file=exp / TRAINED)  # fmt: skip
    shutil.rmtree(out / "student")
    return exp, before


def test_espnet_decodes_without_the_student_directory(trained, data, tmp_path):
    exp, before = trained
    files = {"asr_train_config": exp / "config.yaml", "asr_model_file": exp / TRAINED}
    assert infer(data, tmp_path / "after", **files) == before
    assert len(before) == 6 and any(before.values())


def test_our_command_decodes_without_it(trained, data, tmp_path):
    exp, before = trained
    options = ["--exp", exp, "--checkpoint", TRAINED, "--out", tmp_path, data]
    decode_command.main([str(option) for option in options])
    greedy = texts(tmp_path / "test/clean/text")
    assert greedy.keys() == before.keys() and any(greedy.values())


@pytest.mark.parametrize("ctc_weight", [1.0, 0.5])
def test_our_beam_search_is_espnets(trained, data, tmp_path, ctc_weight):
    exp, _ = trained
    options = ["--exp", exp, "--checkpoint", TRAINED, "--out", tmp_path / "ours", data,
               "--method", "beam", "--beam_size", 3, "--ctc_weight", ctc_weight]  # fmt: skip
    decode_command.main([str(option) for option in options])
    theirs = infer(data, tmp_path / "theirs", asr_train_config=exp / "config.yaml",
                   asr_model_file=exp / TRAINED, ctc_weight=ctc_weight)  # fmt: skip
    assert texts(tmp_path / "ours/test/clean/text") == theirs


def test_batches_do_not_change_what_is_decoded(trained, data):
    exp, _ = trained
    wavs = [read_audio(entry) for entry in read_data_dir(data).wav.values()]
    for options in ({"method": "greedy"}, {"method": "beam", "beam_size": 2}):
        recogniser = load_recogniser(exp, TRAINED, **options)
        assert recogniser(wavs) == [recogniser([wav])[0] for wav in wavs]


@pytest.mark.gpu
@pytest.mark.parametrize("options", [{}, {"method": "beam", "beam_size": 2}])
def test_a_gpu_decodes_the_same(trained, data, options):
    wavs = [read_audio(entry) for entry in read_data_dir(data).wav.values()]
    cpu, gpu = (load_recogniser(trained[0], TRAINED, device=d, **options) for d in ("cpu", "cuda"))
    assert gpu(wavs) == cpu(wavs)


def test_a_gpu_that_is_not_there(trained, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no GPU here; use cpu"):
        load_recogniser(trained[0], TRAINED, device="cuda")


def test_espnets_rnn_encoder_drops_nothing_in_decoding(data, student_dir, tmp_path):
    encoder = CONFIG["encoder_conf"] | {"num_layers": 2, "subsample": [2, 1], "dropout": 0.5}
    conf = {"frontend_conf": {"student": {"path": str(student_dir)}}}
    conf |= {"encoder": "rnn", "encoder_conf": encoder, "max_epoch": 1}
    exp = train(tmp_path / "run", data, CONFIG | conf)
    model = load_recogniser(exp, "1epoch.pth").model
    wav = torch.randn(2, 8000)
    with torch.inference_mode():
        together, frames = model.encode(wav, torch.tensor([8000, 6000]))
        alone, _ = model.encode(wav[1:, :6000], torch.tensor([6000]))
    torch.testing.assert_close(together[1, : frames[1]], alone[0], atol=1e-5, rtol=1e-5)


def test_a_beam_wider_than_the_vocabulary(trained, data):
    recogniser = load_recogniser(trained[0], TRAINED, method="beam", beam_size=len(TOKENS) + 1)
    assert recogniser([np.zeros(3200, np.float32)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "need beam_size >= 1"),
        ({"ctc_weight": 1.5}, "ctc_weight in 0..1, got 10 and 1.5"),
    ],
)
def test_refused_beam_searches(trained, options, message):
    with pytest.raises(ConfigError, match=message):
        load_recogniser(trained[0], TRAINED, method="beam", **options)


def test_a_packed_model_decodes_elsewhere(trained, data, tmp_path, monkeypatch):
    exp, before = trained
    monkeypatch.chdir(exp.parent)  # pack keeps paths relative to where it runs
    archive = tmp_path / "asr.zip"
    pack.main(["asr", "--asr_train_config", "exp/config.yaml",
               "--asr_model_file", f"exp/{TRAINED}", "--outpath", str(archive)])  # fmt: skip
    moved = exp.with_name("gone")
    exp.rename(moved)
    try:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        files = unpack(archive, elsewhere)
        assert infer(data, elsewhere / "decoded", **files) == before
    finally:
        moved.rename(exp)


def test_an_unregistered_process_says_what_is_missing(trained, data, tmp_path):
    from espnet2.tasks.asr import frontend_choices

    exp, _ = trained
    known = frontend_choices.classes.pop("robust_student")
    try:
        with pytest.raises(ValueError, match="robust_student"):
            infer(data, tmp_path, asr_train_config=exp / "config.yaml",
                  asr_model_file=exp / TRAINED)  # fmt: skip
    finally:
        frontend_choices.classes["robust_student"] = known


def test_fine_tuning_begins_after_the_frozen_steps(data, student_dir, tmp_path):
    frontend_conf = {
        "student": {"path": str(student_dir)},
        "freeze": False, "freeze_steps": 2, "lr_scale": 0.1,
    }  # fmt: skip
    config = CONFIG | {"frontend_conf": frontend_conf, "optim": "scaled_adamw"}
    config |= {"optim_conf": {"lr": 0.01, "weight_decay": 0.0}, "keep_nbest_models": 9}
    exp = train(tmp_path / "run", data, config)
    given, prefix = read_student_weights(student_dir), "frontend.speech_model."
    frozen, tuned = (torch.load(exp / f"{epoch}epoch.pth") for epoch in (1, 2))
    assert frozen["frontend.steps"] == 2 and tuned["frontend.steps"] == 4
    assert all(torch.equal(frozen[prefix + key], given[key]) for key in given)
    changes = {key: (tuned[prefix + key] - given[key]).abs().max() for key in given}
    moved = [key for key, change in changes.items() if change > 0]
    assert len(moved) > len(given) / 2
    # AdamW moves a weight by at most the learning rate, but for its epsilon: two steps of 0.001.
    assert 0.0005 < max(changes.values()) < 0.0021
    others = [k for k in tuned if k.startswith(("encoder.", "ctc."))]
    assert max((tuned[k] - frozen[k]).abs().max() for k in others) > 0.005

    checkpoint = torch.load(exp / "checkpoint.pth", weights_only=False)
    groups = checkpoint["optimizers"][0]["param_groups"]
    assert {(group["lr_scale"], group["lr"]) for group in groups} == {(0.1, 0.01), (1.0, 0.01)}
    (slow,) = (group for group in groups if group["lr_scale"] == 0.1)
    assert len(slow["params"]) == len(given)


# A user's own process, where ESPnet checks types.
REGISTERED = """\
from espnet_robust import register
register()
from espnet2.bin.asr_inference import main
main()
"""


@pytest.mark.recipe
@pytest.mark.parametrize(
    "launcher",
    [["-m", "espnet_robust.run", "espnet2.bin.asr_inference"], ["-c", REGISTERED]],
    ids=["wrapper", "register"],
)
def test_decoding_in_a_process_of_its_own(trained, data, tmp_path, launcher):
    exp, before = trained
    command = [sys.executable, *launcher,
               "--output_dir", tmp_path, "--beam_size", "3",
               "--data_path_and_name_and_type", f"{data}/wav.scp,speech,sound",
               "--asr_train_config", exp / "config.yaml",
               "--asr_model_file", exp / TRAINED]  # fmt: skip
    subprocess.run(command, check=True, cwd=tmp_path)
    assert texts(tmp_path / "1best_recog/text") == before
