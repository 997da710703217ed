"""A recogniser trained by ESPnet for a few steps, and what it is exported to."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from test.espnet_runs import train_espnet

TOKENS = ["<blank>", "<unk>", "<space>", "A", "B", "C", "<sos/eos>"]
CONFIG = {
    "token_type": "char",
    "frontend": "robust_student",
    "normalize": "utterance_mvn",
    "encoder": "blstm",
    "encoder_conf": {"num_layers": 2, "hidden_size": 16, "output_size": 16, "subsample": [2, 1]},
    "model_conf": {"ctc_weight": 1.0},
    "decoder": None,
    "optim": "adamw",
    "optim_conf": {"lr": 0.02},
    "batch_type": "sorted",
    "batch_size": 3,
    "num_iters_per_epoch": 60,
    "max_epoch": 1,
    "num_workers": 0,
    "use_tensorboard": False,
    "num_att_plot": 0,
}
CHECKPOINT = "1epoch.pth"


def spoken(text: str, seed: int = 0) -> np.ndarray:
    """(samples,) float32: A a low tone, B a high one, C noise, a blank silence; 0.2 s each."""
    rng = np.random.default_rng(seed)
    time = np.arange(3200) / 16000
    sounds = {
        "A": np.sin(2 * np.pi * 200 * time),
        "B": np.sin(2 * np.pi * 2000 * time),
        "C": rng.standard_normal(3200),
        " ": np.zeros(3200),
    }
    return 0.1 * np.concatenate([sounds[letter] for letter in text]).astype(np.float32)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """A data dir of six utterances."""
    out = tmp_path_factory.mktemp("device_data") / "test"
    out.mkdir()
    tables = {"wav.scp": [], "text": [], "utt2spk": [], "utt2num_samples": []}
    for i, text in enumerate(["AB C", "CA", "BB A", "CB", "A", "B C A"]):
        path, wav = out / f"u{i}.wav", spoken(text)
        soundfile.write(path, wav, 16000)
        for table, value in zip(tables, (path, text, f"u{i}", len(wav)), strict=True):
            tables[table].append(f"u{i} {value}\n")
    for table, lines in tables.items():
        (out / table).write_text("".join(lines))
    return out


@pytest.fixture(scope="session")
def experiment(tmp_path_factory, data, student_dir) -> Path:
    """output_dir of ESPnet's asr_train."""
    return trained(tmp_path_factory.mktemp("device_asr"), data, student_dir, {})


@pytest.fixture(scope="session")
def stream_experiment(tmp_path_factory, data, teacher_dir) -> Path:
    """Likewise, of a recogniser that can stream."""
    import torch

    from espnet_robust.models.speech_model import load_teacher
    from espnet_robust.models.student import StudentConfig, build_student, save_student

    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_attention_heads": 2, "num_conv_pos_embeddings": 15}
    shape |= {"intermediate_size": 32, "num_conv_pos_embedding_groups": 2}
    config = StudentConfig(1, "random", shape, "log_mel", True, chunk_ms=160, left_ms=320)
    out = tmp_path_factory.mktemp("device_stream")
    save_student(build_student(load_teacher(teacher_dir), config), out / "student", {})
    encoder = {**CONFIG["encoder_conf"], "bidirectional": False}
    change = {"normalize": "running_mean", "encoder_conf": encoder, "num_iters_per_epoch": 150}
    return trained(out, data, out / "student", change, freeze=False)


def trained(out: Path, data: Path, student_dir: Path, change: dict, freeze: bool = True) -> Path:
    """output_dir of asr_train, in ``out``, on a student."""
    from espnet2.bin import asr_train

    import espnet_robust

    espnet_robust.register()
    frontend = {"student": {"path": str(student_dir)}, "freeze": freeze}
    config = CONFIG | change | {"frontend_conf": frontend}
    return train_espnet(asr_train.main, out, data, config, TOKENS)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, experiment) -> Path:
    """The directory with every format of it."""
    from espnet_robust.device.export import export

    out = tmp_path_factory.mktemp("exported")
    export(experiment, out, "all", CHECKPOINT)
    return out
