"""Trainings of recognisers and classifiers: killed, begun twice, on a full disk, with bad files."""

import argparse
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from espnet2.bin import asr_train, cls_train
from espnet2.tasks.asr import ASRTask
from espnet2.train.distributed_utils import DistributedOption
from safetensors.torch import load_file, save_file

from espnet_robust.common.errors import ConfigError, DataDirError, ModelError
from espnet_robust.common.files import read_json
from espnet_robust.common.saving import CHECKPOINT
from espnet_robust.models.onednn import choice
from espnet_robust.plugin import training
from espnet_robust.plugin.checkpoints import check_trained, read_checkpoint, read_weights
from espnet_robust.plugin.registration import register

TRAIN = {"asr": asr_train, "cls": cls_train}
LABEL = {"asr": "text", "cls": "label"}
CONFIG = {
    "asr": {
        "token_type": "char", "token_list": ["<blank>", "<unk>", "A", "B", "<sos/eos>"],
        "encoder": "blstm", "encoder_conf": {"num_layers": 1, "subsample": [1], "output_size": 8},
        "model_conf": {"ctc_weight": 1.0},
    },
    "cls": {
        "token_type": "word", "token_list": ["A", "B", "<unk>"], "normalize": "none",
        "encoder": "blstm", "encoder_conf": {"num_layers": 1, "subsample": [1], "output_size": 8},
        "decoder": "linear", "decoder_conf": {"pooling": "mean"},
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()


@pytest.fixture(scope="module")
def data(speech_and_text):
    labels = [line.split()[0] + " " + line.split()[1][0] for line in
              (speech_and_text / "text").read_text().splitlines()]  # fmt: skip
    (speech_and_text / "label").write_text("\n".join(labels) + "\n")
    return speech_and_text


@pytest.fixture(scope="module")
def train(data, student_dir):
    """train(task, exp, option=value, ...): three epochs of ``espnet2.bin.TASK_train``."""

    def train(task: str, exp: Path, **options) -> Path:
        config = CONFIG[task] | {
            "frontend": "robust_student", "frontend_conf": {"student": {"path": str(student_dir)}},
            "optim": "adamw", "optim_conf": {"lr": 0.02}, "batch_type": "sorted", "batch_size": 2,
            "max_epoch": 3, "keep_nbest_models": 2, "num_workers": 0,
            "best_model_criterion": [["valid", "loss", "min"]],
             "use_tensorboard": False, "use_matplotlib": False, "resume": True,
        } | options  # fmt: skip
        exp.parent.mkdir(exist_ok=True, parents=True)
        path = exp.parent / f"{exp.name}.yaml"
        path.write_text(yaml.safe_dump(config))
        given = ["--config", path, "--output_dir", exp]
        for split in ("train", "valid"):
            given += [f"--{split}_shape_file", data / "shape"]
            for row in ("wav.scp,speech,sound", f"{LABEL[task]},{LABEL[task]},text"):
                given += [f"--{split}_data_path_and_name_and_type", f"{data}/{row}"]
        TRAIN[task].main([str(option) for option in given])
        return exp

    return train


@pytest.fixture(scope="module")
def trained(train, tmp_path_factory):
    return train("asr", tmp_path_factory.mktemp("exp") / "asr")


@pytest.fixture
def exp(trained, tmp_path):
    """A copy of ``trained`` to be damaged."""
    subprocess.run(["cp", "-a", trained, tmp_path / "exp"], check=True)
    return tmp_path / "exp"


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.recipe)])
@pytest.mark.parametrize("task", ["asr", "cls"])
def test_killed_at_any_change_of_a_file(train, tmp_path, kill_everywhere, task, step):
    points = kill_everywhere(lambda exp, **options: train(task, exp, **options), tmp_path, step)
    assert 20 <= points < 99


def test_a_training_keeps_to_its_linear_layers(train, exp, monkeypatch, capsys):
    kept = read_json(exp / "linear.json")["kind"]
    assert kept in choice.KINDS
    (other,) = {*choice.KINDS} - {kept}
    (exp / "linear.json").write_text(json.dumps({"kind": other}))
    monkeypatch.delenv(choice.FORCED, raising=False)
    monkeypatch.setattr(choice, "_current", choice.Choice(kept, "by this machine"))
    train("asr", exp, max_epoch=4)
    assert choice.current().kind == other
    assert (
        f"linear layers on the CPU: {other} (as {exp}/linear.json says)" in capsys.readouterr().err
    )
    monkeypatch.setenv(choice.FORCED, kept)
    with pytest.raises(ConfigError, match=f"{choice.FORCED}={kept}: this training was begun with"):
        train("asr", exp, max_epoch=5)


def test_a_trained_model_is_looked_at(trained):
    check_trained(trained, "valid.loss.best.pth")
    check_trained(trained, "valid.loss.ave_2best.pth")


def damage_half(path):
    os.truncate(path.resolve(), path.stat().st_size // 2)


def damage_empty(path):
    os.truncate(path.resolve(), 0)


def damage_link(path):
    other = min({p.name for p in path.parent.glob("?epoch.pth")} - {os.readlink(path)})
    path.unlink()
    path.symlink_to(other)


def damage_kind(path):
    torch.save([1, 2], path.resolve())


def damage_lost(path):
    path.resolve().unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_half, "not a complete checkpoint"),
        (damage_empty, "not a complete checkpoint"),
        (damage_lost, "not found; has training finished"),
        (damage_kind, "not a model: it holds list"),
        (damage_link, "links to .epoch.pth, but epoch . was the best"),
        (lambda path: (path.parent / "checkpoint.backup.pth").touch(), "not saved completely"),
    ],
)
def test_a_damaged_model_is_not_trained(exp, damage, message):
    damage(exp / "valid.loss.best.pth")
    with pytest.raises(ModelError, match=f"{message}.*train") as e:
        check_trained(exp, "valid.loss.best.pth")
    assert "\n" not in str(e.value)


def test_a_training_ends_with_a_look_at_its_model(train, exp):
    damage_link(exp / "valid.loss.best.pth")
    with pytest.raises(ModelError, match="but epoch . was the best; remove .* and train again"):
        train("asr", exp)


def inference(exp):
    return ASRTask.build_model_from_file(exp / "config.yaml", exp / "valid.loss.best.pth", "cpu")


def test_inference_caches_nothing(exp):
    config = yaml.safe_load((exp / "config.yaml").read_text())
    config["frontend_conf"]["cache_gb"] = 1.0
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    assert inference(exp)[0].frontend._cache.limit == 0


class Command:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight": Command()}, "holds posix.system, not only weights.*ESPNET_ALLOW_UNSAFE"),
        ([1, 2], "not a model: it holds list"),
        ({"a": 1}, "not a model: it holds a"),
        (b"rubbish", "not a complete checkpoint"),
    ],
)
def test_a_model_is_read_without_running_it(exp, monkeypatch, content, message):
    monkeypatch.chdir(exp)
    best = (exp / "valid.loss.best.pth").resolve()
    if isinstance(content, bytes):
        best.write_bytes(content)
    else:
        torch.save(content, best)
    with pytest.raises(ModelError, match=message) as e:
        inference(exp)
    assert "\n" not in str(e.value) and not (exp / "ran").exists()


def test_who_insists_runs_it(exp, monkeypatch):
    monkeypatch.chdir(exp)
    monkeypatch.setenv("ESPNET_ALLOW_UNSAFE_TORCH_LOAD", "1")
    torch.save({"weight": Command()}, (exp / "valid.loss.best.pth").resolve())
    with pytest.raises(ModelError):  # it is no model after all
        inference(exp)
    assert (exp / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda states: Command(), "holds posix.system"),
        (lambda states: states | {"reporter": Command()}, "holds posix.system"),
        (lambda states: 7, "it holds no model"),
        (lambda states: {"model": states["model"]}, "reporter"),
    ],
)
def test_a_training_goes_on_from_weights_alone(train, exp, monkeypatch, change, message):
    monkeypatch.chdir(exp)
    torch.save(change(read_checkpoint(exp / CHECKPOINT)), exp / CHECKPOINT)
    with pytest.raises(ModelError, match=message) as e:
        train("asr", exp, max_epoch=4)
    assert "\n" not in str(e.value) and not (exp / "ran").exists()


def test_a_training_does_not_go_on_with_another_student(train, exp, student_dir, tmp_path):
    other, config = tmp_path / "other", (exp / "config.yaml").read_bytes()
    shutil.copytree(student_dir, other)
    weights = load_file(other / "model.safetensors")
    name = next(key for key in weights if key.endswith("q_proj.weight"))
    save_file(weights | {name: weights[name] * 1.01}, other / "model.safetensors", {"format": "pt"})
    for _ in range(2):
        with pytest.raises(ModelError, match="begun with"):
            train("asr", exp, max_epoch=4, frontend_conf={"student": {"path": str(other)}})
        assert (exp / "config.yaml").read_bytes() == config
    train("asr", exp, max_epoch=4)
    assert (exp / "4epoch.pth").exists()


@pytest.mark.parametrize("full", [CHECKPOINT, "4epoch.pth"])
def test_a_full_disk_is_one_line(train, exp, monkeypatch, full):
    save = torch.save
    with monkeypatch.context() as patch:
        patch.setattr(
            torch, "save", lambda it, path: save(it, "/dev/full" if path.name == full else path)
        )
        with pytest.raises(ModelError, match="cannot be written; is the disk full"):
            train("asr", exp, max_epoch=4)
    train("asr", exp, max_epoch=4)
    check_trained(exp, "valid.loss.best.pth")


def test_two_at_once_are_refused(train, exp, monkeypatch):
    monkeypatch.setattr(training, "PATIENCE_S", 0.1)
    before = (exp / "config.yaml").read_bytes()
    with open(exp / training.LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataDirError, match="another process is making it"):
            train("asr", exp, max_epoch=4)
    assert (exp / "config.yaml").read_bytes() == before


def test_each_rank_has_dropout_of_its_own(tmp_path):
    class Base:
        @classmethod
        def train_one_epoch(cls, **kwargs):
            return torch.initial_seed()

    class Safe(training.SafeTrainer, Base):
        pass

    def seed(rank: int, epoch: int) -> int:
        torch.manual_seed(5 + epoch)  # as ESPnet has done in all ranks
        return Safe.train_one_epoch(
            options=argparse.Namespace(seed=5, output_dir=tmp_path),
            distributed_option=DistributedOption(distributed=True, dist_rank=rank),
            reporter=argparse.Namespace(epoch=epoch),
        )

    assert [seed(0, epoch) for epoch in (1, 2)] == [6, 7]
    assert len({seed(rank, epoch) for rank in range(4) for epoch in (1, 2)}) == 8


def test_several_gpus_in_one_process_are_refused(train, tmp_path):
    with pytest.raises(ConfigError, match="ngpu 2: .*espnet-robust launch --processes 2 MODULE"):
        train("asr", tmp_path / "exp", ngpu=2)
    assert not (tmp_path / "exp").exists()


@pytest.mark.recipe
@pytest.mark.parametrize("task", ["asr", "cls"])
def test_power_failure(train, disk, failing_at, monkeypatch, tmp_path, models, task):
    whole = train(task, tmp_path / "whole", max_epoch=6)
    failing_at(disk, 1)
    train(task, disk.path / "exp", max_epoch=6)
    disk.fail()
    monkeypatch.undo()
    assert len(disk.failures) >= 10
    for failure in disk.failures:
        exp = disk.after(failure) / "exp"
        train(task, exp, max_epoch=6)
        check_trained(exp, "valid.loss.best.pth")
        assert models(exp) == models(whole)
        for name in models(whole):
            if name != CHECKPOINT:
                a, b = (read_weights(e / name) for e in (exp, whole))
                assert all(torch.equal(a[key], b[key]) for key in b), name
