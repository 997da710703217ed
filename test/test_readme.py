"""What README and CONTRIBUTING tell a user to type works as written, on a few seconds of audio.

Fewer steps are taken, and a teacher of random weights stands where the hub's would be. Training a
recogniser and loading its model in Python are in test_asr.py.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

TEACHER = "facebook/hubert-base-ls960"
FEW = {
    "max_epoch": 1, "num_iters_per_epoch": 1, "num_workers": 0, "batch_bins": 64000, "amp": "none",
}  # fmt: skip


def section(path: Path, title: str) -> str:
    """A section of a Markdown file."""
    text = path.read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The indented lines outside of fences, those that end in a backslash joined, as words."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    return [shlex.split(line, comments=True) for line in lines.replace("\\\n", " ").splitlines()]


@pytest.fixture(scope="module")
def teacher():
    """teacher(directory): a HuBERT of twelve small layers, where the hub's would be found."""
    import torch
    from transformers import HubertConfig, HubertModel

    from espnet_robust.models.speech_model import write_preprocessor_config

    def make(directory: Path) -> None:
        torch.manual_seed(0)
        config = HubertConfig(
            hidden_size=16, num_hidden_layers=12, num_attention_heads=2, intermediate_size=16,
            conv_dim=[8] * 7, num_conv_pos_embeddings=15, num_conv_pos_embedding_groups=2,
            feat_extract_norm="layer",
        )  # fmt: skip
        HubertModel(config).save_pretrained(directory / TEACHER)
        write_preprocessor_config(directory / TEACHER, normalize=True)

    return make


def write_speech(data: Path, number: int) -> None:
    """A plain Kaldi data dir: wav.scp, text, utt2spk."""
    data.mkdir(parents=True)
    rows: dict[str, list[str]] = {"wav.scp": [], "text": [], "utt2spk": []}
    for n in range(number):
        wav = np.random.default_rng(n).standard_normal(16000 + 800 * n) * 0.05
        soundfile.write(data / f"u{n}.wav", wav, 16000)
        rows["wav.scp"].append(f"u{n} {data / f'u{n}.wav'}")
        rows["text"].append(f"u{n} AB BA")
        rows["utt2spk"].append(f"u{n} u{n}")
    for name, lines in rows.items():
        (data / name).write_text("\n".join(lines) + "\n")


def write_noises(noises: Path, rooms: Path) -> None:
    for n in range(4):
        rng = np.random.default_rng(n)
        for path in (noises / f"{n}.wav", rooms / f"room{n}/a.wav"):
            path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(noises / f"{n}.wav", rng.uniform(-0.3, 0.3, 16000), 16000)
        decay = np.exp(-np.arange(2000) / 200) * rng.standard_normal(2000)
        soundfile.write(rooms / f"room{n}/a.wav", decay / 8, 16000)


def test_distil_a_student(root, teacher, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    teacher(tmp_path)
    for name in ("train", "dev"):
        write_speech(Path("data", name), 3)
    write_noises(Path("my/noises"), Path("my/rooms"))
    text = section(root / "README.md", "Distil a student")
    (config,) = blocks(text, "yml")
    Path("my.yaml").write_text(config + yaml.safe_dump(FEW))
    env = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    typed = commands(text)
    assert [words[:2] for words in typed] == [
        ["espnet-robust", name]
        for name in ("data", "prepare_noise", "distill_train", "export_student")
    ]
    for program, *words in typed:
        assert program == "espnet-robust"
        done = subprocess.run(
            [sys.executable, "-m", "espnet_robust", *words],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words[0], done.stderr[-2000:])
    assert {"config.yaml", "model.safetensors"} <= set(os.listdir("exp/student"))


@pytest.mark.recipe
def test_add_a_recipe_and_compare_two_training_snrs(root, copy_checkout, teacher, tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    recipe = checkout / "egs/my/asr1"
    (recipe / "local").mkdir(parents=True)
    (recipe / "conf/distill").mkdir(parents=True)
    text = section(root / "CONTRIBUTING.md", "Add a recipe")
    for name, content in zip(("run.sh", "local/data.sh"), blocks(text, "bash"), strict=True):
        (recipe / name).write_text(content)
        (recipe / name).chmod(0o755)
    (config,) = blocks(text, "yml")
    (recipe / "conf/distill.yaml").write_text(config + yaml.safe_dump(FEW))
    (variant,) = blocks(section(root / "CONTRIBUTING.md", "Add a system"), "yml")
    (recipe / "conf/distill/cdm1_snr0.yaml").write_text(variant)
    mixture = (checkout / "conf/distortion/train.yaml").read_text()
    second = mixture.replace("snr_db: [0, 20]", "snr_db: 0")
    assert second != mixture
    (checkout / "conf/distortion/train_snr0.yaml").write_text(second)
    for name in ("train", "dev", "test"):
        write_speech(tmp_path / "corpus" / name, 4)
    write_noises(recipe / "my/noise", recipe / "my/rir")
    teacher(recipe)
    words = next(words for words in commands(text) if words[0] == "./run.sh")
    words[words.index("DIR")] = str(tmp_path / "corpus")
    words[words.index("--systems") + 1] = "cdm1 cdm1_snr0"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [*words, "--budget", "tiny"], cwd=recipe, env=os.environ | {"PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    table = (recipe / "exp/report/wer.md").read_text()
    assert "| cdm1 |" in table and "| cdm1_snr0 |" in table and "noise_snr10" in table
