"""A small experiment as a recipe leaves it: exp/tiny/cdm1_seed0, scored."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

TOKENS = ["<blank>", "<unk>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "<sos/eos>"]
CONFIG = {
    "token_type": "char", "frontend": "robust_student",
    "encoder": "blstm",
    "encoder_conf": {"num_layers": 1, "hidden_size": 16, "output_size": 16, "subsample": [1]},
    "decoder": None, "model_conf": {"ctc_weight": 1.0},
    "optim": "adamw", "optim_conf": {"lr": 0.02}, "batch_type": "sorted", "batch_size": 3,
    "num_iters_per_epoch": 20, "max_epoch": 1, "num_workers": 0, "use_tensorboard": False,
    "num_att_plot": 0, "best_model_criterion": [["valid", "loss", "min"]],
}  # fmt: skip


@pytest.fixture(scope="session")
def speech(tmp_path_factory) -> Path:
    """A data dir: A is a low tone, B a high one, C noise."""
    out = tmp_path_factory.mktemp("data") / "test"
    out.mkdir()
    rng = np.random.default_rng(0)
    time = np.arange(3200) / 16000
    sounds = {"A": np.sin(2 * np.pi * 200 * time), "B": np.sin(2 * np.pi * 2000 * time)}
    tables = {"wav.scp": [], "text": [], "utt2spk": [], "utt2num_samples": []}
    for i, text in enumerate(["ABC", "CA", "BBA", "CB"]):
        wav = [0.1 * sounds.get(letter, rng.standard_normal(3200)) for letter in text]
        soundfile.write(out / f"u{i}.wav", np.concatenate(wav), 16000)
        values = (out / f"u{i}.wav", text, f"u{i}", 3200 * len(text))
        for table, value in zip(tables, values, strict=True):
            tables[table].append(f"u{i} {value}\n")
    for table, lines in tables.items():
        (out / table).write_text("".join(lines))
    return out


@pytest.fixture(scope="session")
def recipe(tmp_path_factory) -> Path:
    """The directory of a recipe on the mini corpus."""
    directory = tmp_path_factory.mktemp("egs") / "mini/asr1"
    directory.mkdir(parents=True)
    return directory


@pytest.fixture(scope="session")
def trained(recipe, speech, student_dir) -> Path:
    """exp/tiny/cdm1_seed0 of the recipe after its scoring."""
    from espnet2.bin import asr_train

    from espnet_robust import register
    from espnet_robust.bin import decode, score

    register()
    exp = recipe / "exp/tiny/cdm1_seed0"
    shutil.copytree(student_dir, exp / "student")
    content = yaml.safe_load((exp / "student/config.yaml").read_text())
    content["provenance"] = {
        "teacher": "facebook/hubert-base-ls960", "mapping": "setup1", "target_layers": [4, 8],
        "loss_conf": {"l1": 1.0}, "dat": "", "distortion": {"chain": [{"name": "white"}]},
    }  # fmt: skip
    (exp / "student/config.yaml").write_text(yaml.safe_dump(content))
    (recipe / "tokens.txt").write_text("\n".join(TOKENS) + "\n")
    conf = CONFIG | {"frontend_conf": {"student": {"path": str(exp / "student")}}}
    for split in ("train", "valid"):
        conf[f"{split}_shape_file"] = [str(speech / "utt2num_samples")]
        conf[f"{split}_data_path_and_name_and_type"] = [
            [f"{speech}/wav.scp", "speech", "sound"], [f"{speech}/text", "text", "text"],
        ]  # fmt: skip
    (recipe / "train.yaml").write_text(yaml.safe_dump(conf))
    asr_train.main(["--config", str(recipe / "train.yaml"), "--output_dir", str(exp / "asr"),
                    "--token_list", str(recipe / "tokens.txt")])  # fmt: skip
    with contextlib.chdir(recipe):
        decode.main(["--exp", str(exp / "asr"), "--out", str(exp / "decode"),
                     "--checkpoint", "valid.loss.best.pth",
                     "--test_sets", str(speech)])  # fmt: skip
        score.main(["--system", "cdm1", "--seed", "0", "--decode_dir", str(exp / "decode"),
                    "--out", str(exp / "scores.json"), "--test_sets", str(speech)])  # fmt: skip
    assert json.loads((exp / "scores.json").read_text())["system"] == "cdm1"
    return exp


@pytest.fixture(scope="session")
def packed(trained, recipe) -> Path:
    """What ``pack`` makes of it."""
    from espnet_robust.bin import pack

    pack.main([str(trained), "--recipe", str(recipe), "--upload_hf", "me/mini",
               "--command", "asr.sh --token_type char --stage 11 --stop_stage 12"])  # fmt: skip
    return trained / "packed"
