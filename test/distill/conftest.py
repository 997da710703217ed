"""The command that distils a small random teacher on a little noise."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_robust.bin import distill_train
from espnet_robust.data.data_dir import write_data_dir

CHAIN = {
    "chain": [
        {"one_of": [{"name": "clean"}, {"name": "white", "snr_db": [0, 20]}]},
        {"one_of": [{"name": "clean"}, {"name": "clip"}]},
    ]
}


@pytest.fixture(scope="session")
def make_data(tmp_path_factory):
    """make_data(samples, rate) -> a data dir of noises, u00, u01, ..., of so many samples."""

    def make(samples: list[int], rate: int = 16000) -> Path:
        root = tmp_path_factory.mktemp("data")
        rng = np.random.default_rng(0)
        wav, lengths = {}, {}
        for i, n in enumerate(samples):
            wav[f"u{i:02}"], lengths[f"u{i:02}"] = str(root / f"u{i:02}.wav"), str(n)
            soundfile.write(wav[f"u{i:02}"], rng.standard_normal(n) * 0.05, rate)
        write_data_dir(root / "train", {"wav.scp": wav, "utt2num_samples": lengths})
        return root / "train"

    return make


@pytest.fixture(scope="session")
def data(make_data):
    """A data dir of 12 utterances of 0.4 to 0.95 s."""
    return make_data([6400 + 800 * i for i in range(12)])


@pytest.fixture(scope="session")
def command(data, teacher_dirs, tmp_path_factory):
    """command(out, option=value, ...) -> the options of distill_train on ``data``, or another."""
    conf = tmp_path_factory.mktemp("conf")
    (conf / "chain.yaml").write_text(yaml.safe_dump(CHAIN))

    def command(out: Path, data: Path = data, **options) -> list[str]:
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
            "keep_nbest_models": 1,
            "num_workers": 0,
            "use_matplotlib": False,
            "use_tensorboard": False,
        } | options
        path = conf / f"{out.parent.name}_{out.name}.yaml"
        path.write_text(yaml.safe_dump(config))
        words = ["--config", str(path), "--output_dir", str(out), "--resume", "true"]
        for split in ("train", "valid"):
            words += [
                f"--{split}_data_path_and_name_and_type", f"{data}/wav.scp,speech,sound",
                f"--{split}_shape_file", f"{data}/utt2num_samples",
            ]  # fmt: skip
        return words

    return command


@pytest.fixture(scope="session")
def train(command):
    """train(out, option=value, ...): distill_train in this process; returns ``out``."""

    def train(out: Path, **options) -> Path:
        distill_train.main(command(out, **options))
        return out

    return train


@pytest.fixture(scope="session")
def straight(train, tmp_path_factory):
    """The experiment that others are compared with: 3 epochs of 3 batches, all kept."""
    return train(tmp_path_factory.mktemp("exp") / "straight", keep_nbest_models=3)


@pytest.fixture(scope="session")
def weights():
    """weights(out, epoch) -> what an experiment saved after that epoch."""

    def weights(out: Path, epoch: int = 3) -> dict[str, torch.Tensor]:
        return torch.load(out / f"{epoch}epoch.pth", weights_only=True)

    return weights


@pytest.fixture(scope="session")
def assert_same_weights(weights):
    """assert_same_weights(out, other, epoch): bit for bit the same weights after an epoch."""

    def assert_same_weights(out: Path, other: Path, epoch: int = 3) -> None:
        a, b = weights(out, epoch), weights(other, epoch)
        assert a.keys() == b.keys()
        assert not [key for key in a if not torch.equal(a[key], b[key])]

    return assert_same_weights
