"""The ESPnet task as a user runs it: through the command, on files."""

import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_robust.bin import distill_train, export_student
from espnet_robust.data_dir import write_data_dir
from espnet_robust.distill.student import load_student
from espnet_robust.distill.task import DistillTrainer
from espnet_robust.errors import ConfigError, ModelError

CHAIN = {
    "chain": [
        {"one_of": [{"name": "clean"}, {"name": "white", "snr_db": [0, 20]}]},
        {"one_of": [{"name": "clean"}, {"name": "clip"}]},
    ]
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data dir of 12 utterances of 0.4 to 0.9 s."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    wav, samples = {}, {}
    for i in range(12):
        x = rng.standard_normal(6400 + 800 * i) * 0.05
        soundfile.write(root / f"u{i:02}.wav", x, 16000)
        wav[f"u{i:02}"], samples[f"u{i:02}"] = str(root / f"u{i:02}.wav"), str(len(x))
    write_data_dir(root / "train", {"wav.scp": wav, "utt2num_samples": samples})
    return root / "train"


@pytest.fixture(scope="module")
def train(data, teacher_dirs, tmp_path_factory):
    """train(out, option=value, ...): distill_train on the data; returns ``out``."""
    conf = tmp_path_factory.mktemp("conf")
    (conf / "chain.yaml").write_text(yaml.safe_dump(CHAIN))

    def train(out, **options):
        config = {
            "teacher": str(teacher_dirs["hubert_layer_norm"]),
            "target_layers": [2, 4],
            "mapping": "setup2",
            "dat": "reversal",
            "distortion": str(conf / "chain.yaml"),
            "batch_type": "unsorted",
            "batch_size": 4,
            "max_epoch": 3,
            "optim": "adamw",
            "optim_conf": {"lr": 0.001},
            "best_model_criterion": [["valid", "distill", "min"]],
            "keep_nbest_models": 1,
            "num_workers": 0,
            "use_matplotlib": False,
            "use_tensorboard": False,
        } | options
        path = conf / f"{out.name}.yaml"
        path.write_text(yaml.safe_dump(config))
        command = ["--config", str(path), "--output_dir", str(out), "--resume", "true"]
        for split in ("train", "valid"):
            command += [
                f"--{split}_data_path_and_name_and_type", f"{data}/wav.scp,speech,sound",
                f"--{split}_shape_file", f"{data}/utt2num_samples",
            ]  # fmt: skip
        distill_train.main(command)
        return out

    return train


def weights(out, epoch=3):
    return torch.load(out / f"{epoch}epoch.pth", weights_only=True)


def assert_same(a, b):
    assert a.keys() == b.keys()
    different = [key for key in a if not torch.equal(a[key], b[key])]
    assert not different


@pytest.fixture(scope="module")
def straight(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("exp") / "straight", keep_nbest_models=3)


def test_resumed_equals_uninterrupted(train, straight, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def killed(*args, **kwargs):
        raise Killed

    out = tmp_path / "resumed"
    with monkeypatch.context() as patch:
        # The process dies while it validates epoch 2.
        validate = DistillTrainer.validate_one_epoch
        patch.setattr(
            DistillTrainer,
            "validate_one_epoch",
            lambda *a, **k: killed() if k["reporter"].epoch == 2 else validate(*a, **k),
        )
        with pytest.raises(Killed):
            train(out, keep_nbest_models=3)
    assert (out / "1epoch.pth").exists() and not (out / "2epoch.pth").exists()
    train(out, keep_nbest_models=3)
    assert_same(weights(out), weights(straight))


def test_number_of_workers_does_not_matter(train, straight, tmp_path):
    assert_same(weights(train(tmp_path / "w2", num_workers=2)), weights(straight))


def test_seed_matters(train, straight, tmp_path):
    other = weights(train(tmp_path / "seed", seed=1))
    assert any(not torch.equal(other[key], value) for key, value in weights(straight).items())


def test_export_gives_the_student_alone(straight, tmp_path):
    export_student.main([str(straight), str(tmp_path / "s"), "--checkpoint", "3epoch.pth"])
    student = load_student(tmp_path / "s")
    saved = weights(straight)
    for key, value in student.state_dict().items():
        assert torch.equal(value, saved[f"student.{key}"])
    assert student.num_layers == 2
    with pytest.raises(ModelError, match=r"9epoch\.pth: not found"):
        export_student.main([str(straight), str(tmp_path / "t"), "--checkpoint", "9epoch.pth"])
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": None}, "--teacher: name"),
        ({"teacher": "./none"}, "no such directory"),
        ({"target_layers": [5]}, "target layer 5"),
        ({"distortion": None}, "needs --distortion"),
        ({"student_conf": {"layers": 2}}, "unknown key 'layers'"),
        ({"dat_conf": {"wait": 2}}, "unknown key 'wait'"),
        ({"loss_conf": {"l3": 1.0}}, "unknown loss l3"),
        ({"mapping": "none"}, "one domain only"),
        ({"max_cache_size": 1.0}, "would freeze the distortion"),
    ],
)
def test_refused(train, tmp_path, options, message):
    with pytest.raises((ConfigError, ModelError), match=message):
        train(tmp_path / "x", **options)


def test_unknown_key_of_the_yaml(train, tmp_path):
    with pytest.raises(ConfigError, match=r"unknown key 'targets', did you mean 'target_layers'"):
        train(tmp_path / "x", targets=[2])
