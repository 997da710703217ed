"""ESPnet3's stages from training to a packed model, in a process as a user starts it."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
import yaml
from espnet2.bin import asr_train

import espnet_robust

TOKENS = ["<blank>", "<unk>", *"ABC", "<sos/eos>"]
SIZES = {"num_layers": 2, "hidden_size": 16, "output_size": 16, "subsample": [1, 1], "dropout": 0.2}
WHITE = {"snr_db": 30, "chain": [{"name": "white"}]}
DISTORTING = {
    "_target_": "espnet_robust.espnet3.preprocessor.DistortingPreprocessor",
    "distortion": WHITE,
    "seed": 0,
}
TRAINING = {
    "task": "espnet_robust.espnet3.ASRTask", "seed": 3, "recipe_dir": ".", "exp_dir": "exp",
    "stats_dir": "stats", "data_dir": "data", "parallel": None,
    "dataset": {
        "train": [{"data_src": "espnet_robust.espnet3.data_dir",
                   "data_src_args": {"data_dir": "data/test"}}],
        "valid": [{"data_src": "espnet_robust.espnet3.data_dir",
                   "data_src_args": {"data_dir": "data/test"}}],
        "preprocessor": {
            "token_type": "char", "token_list": "tokens.txt", "train": DISTORTING,
            "valid": DISTORTING,
            "test": {"_target_": "espnet2.train.preprocessor.CommonPreprocessor"},
        },
    },
    "model": {
        "token_list": "tokens.txt", "token_type": "char", "frontend": "robust_student",
        "frontend_conf": {"student": {"path": "student"}}, "encoder": "blstm",
        "encoder_conf": SIZES, "decoder": None, "model_conf": {"ctc_weight": 1.0},
        "ctc_conf": {"blank_bias": 6.0}, "specaug": "specaug",
        "specaug_conf": {"time_mask_width_range": [0, 3]},
    },
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.02, "weight_decay": 0.01},
    "scheduler": {"warmup_steps": 2},
    "best_model_criterion": [["valid/loss", 1, "min"]],
    "dataloader": {
        "train": {"iter_factory": {
            "_target_": "espnet_robust.espnet3.iterator.EpochIterFactory", "max_epochs": 2,
            "num_workers": 0, "num_iters_per_epoch": 3, "seed": "${seed}",
            "batches": {"type": "sorted", "batch_size": 1, "sort_batch": "descending",
                        "shape_files": ["data/test/utt2num_samples"]}}},
        "valid": {"iter_factory": {
            "num_workers": 0, "batches": {"shape_files": ["data/test/utt2num_samples"]}}},
    },
    "trainer": {
        "accelerator": "cpu", "max_epochs": 2, "log_every_n_steps": 1,
        "callbacks": [{"_target_": "espnet_robust.espnet3.callbacks.SeedEpochs", "seed": "${seed}"},
                      {"_target_": "espnet_robust.espnet3.callbacks.AverageAtEnd"}],
    },
}  # fmt: skip
IN_ESPNET2 = {  # the same training
    "seed": 3, "token_list": "tokens.txt", "token_type": "char",
    "preprocessor": "distorting", "preprocessor_conf": {"distortion": WHITE, "seed": 0},
    **{key: TRAINING["model"][key] for key in TRAINING["model"] if not key.startswith("token")},
    "optim": "adamw", "optim_conf": {"lr": 0.02, "weight_decay": 0.01}, "grad_clip": 1.0,
    "scheduler": "warmuplr", "scheduler_conf": {"warmup_steps": 2},
    "batch_type": "sorted", "batch_size": 1, "num_iters_per_epoch": 3, "max_epoch": 2,
    "num_workers": 0, "best_model_criterion": [["valid", "loss", "min"]], "use_matplotlib": False,
}  # fmt: skip
INFERENCE = {
    "exp_dir": "exp", "inference_dir": "exp/inference", "parallel": None, "batch_size": None,
    "dataset": {"test": "${conditions:data/test}"},
    "provider": {"_target_": "espnet_robust.espnet3.provider.RegisteringProvider"},
    "model": {
        "_target_": "espnet2.bin.asr_inference.Speech2Text",
        "asr_train_config": "exp/config.yaml",
        "asr_model_file": "exp/valid.loss.ave_1best.pth", "beam_size": 2, "ctc_weight": 1.0,
    },
}  # fmt: skip
WER = "espnet3.systems.esp2_asr.metrics.wer.WER"
METRICS = {
    "metrics": [
        {"metric": {"_target_": WER, "clean_types": None},
         "inputs": {"ref": "dataset:text", "hyp": "text"}}
    ],
    "scores": {"system": "tiny", "seed": 0},
}  # fmt: skip
PUBLICATION = {
    "exp_dir": "exp", "pack_model": {"include": ["tokens.txt"]},
    "upload_model": {"hf_repo": "USER/NAME"},
}  # fmt: skip


@pytest.fixture
def place(tmp_path, student_dir):
    """A directory with data/test, data/test_clip, a student and the four configurations."""
    rng = np.random.default_rng(0)
    for name in ("test", "test_clip"):
        out = tmp_path / "data" / name
        out.mkdir(parents=True)
        tables = {"wav.scp": "", "text": "", "utt2spk": "", "utt2num_samples": ""}
        for i, text in enumerate(["ABC", "CA", "BBA", "CB"]):
            soundfile.write(out / f"u{i}.wav", 0.1 * rng.standard_normal(3200 * len(text)), 16000)
            values = (f"data/{name}/u{i}.wav", text, f"u{i}", 3200 * len(text))
            for table, value in zip(tables, values, strict=True):
                tables[table] += f"u{i} {value}\n"
        for table, content in tables.items():
            (out / table).write_text(content)
    (tmp_path / "data/test_clip/condition.json").write_text('{"name": "clip"}')
    (tmp_path / "tokens.txt").write_text("\n".join(TOKENS) + "\n")
    shutil.copytree(student_dir, tmp_path / "student")
    roles = {"training": TRAINING, "inference": INFERENCE, "metrics": METRICS}
    for role, config in (roles | {"publication": PUBLICATION}).items():
        (tmp_path / f"{role}.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


@pytest.fixture
def espnet3_run(root, place):
    """espnet3_run(stage, ...) -> the finished run.py of the mini recipe, in ``place``."""

    def run(*stages):
        options = ["--stages", *stages]
        for role in ("training", "inference", "metrics", "publication"):
            options += [f"--{role}_config", f"{role}.yaml"]
        command = [sys.executable, "-W", "ignore", root / "egs/mini/asr1/espnet3/run.py", *options]
        env = os.environ | {"PYTHONPATH": str(root)}
        return subprocess.run(
            command, cwd=place, env=env, capture_output=True, text=True, check=False
        )

    return run


def espnet2_weights(directory):
    """What ESPnet2's trainer makes of the same configuration."""
    (directory / "espnet2.yaml").write_text(yaml.safe_dump(IN_ESPNET2))
    options = ["--config", "espnet2.yaml", "--output_dir", "exp2"]
    for split in ("train", "valid"):
        options += [f"--{split}_shape_file", "data/test/utt2num_samples"]
        for table in ("wav.scp,speech,sound", "text,text,text"):
            options += [f"--{split}_data_path_and_name_and_type", f"data/test/{table}"]
    espnet_robust.register()
    asr_train.main(options)
    return torch.load(directory / "exp2/valid.loss.best.pth", weights_only=True)


@pytest.mark.recipe
def test_from_training_to_a_packed_model(place, espnet3_run, monkeypatch):
    done = espnet3_run("train", "infer", "measure", "score", "pack_model")
    assert done.returncode == 0, done.stderr[-3000:]
    monkeypatch.chdir(place)
    trained = torch.load(place / "exp/valid.loss.ave_1best.pth", weights_only=True)
    torch.testing.assert_close(trained, espnet2_weights(place), rtol=1e-4, atol=1e-5)
    scores = json.loads((place / "exp/inference/scores.json").read_text())
    measured = json.loads((place / "exp/inference/metrics.json").read_text())[WER]
    assert {c["name"] for c in scores["conditions"]} == {"clean", "clip"} == measured.keys()
    for condition in scores["conditions"]:
        assert condition["wer"] == pytest.approx(measured[condition["name"]]["WER"], abs=0.01)
    packed = place / "exp/model_pack"
    assert (packed / "meta.yaml").is_file() and list(packed.rglob("*.pth"))


@pytest.mark.recipe
def test_a_student_that_is_missing(place, espnet3_run):
    shutil.rmtree(place / "student")
    done = espnet3_run("train")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == ["error: student: no such student directory; make one with export_student"]
    assert done.stderr.rstrip().endswith(errors[0])
