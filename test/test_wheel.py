"""The package as a wheel, beside an ESPnet that somebody else has installed."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

pytestmark = pytest.mark.recipe

CONFIG = {
    "token_type": "char", "frontend": "robust_student", "encoder": "blstm",
    "encoder_conf": {"num_layers": 1, "hidden_size": 8, "output_size": 8, "subsample": [1]},
    "model_conf": {"ctc_weight": 1.0}, "optim": "adamw", "batch_type": "sorted", "batch_size": 2,
    "max_epoch": 1, "num_iters_per_epoch": 2, "num_workers": 0, "use_tensorboard": False,
    "num_att_plot": 0, "best_model_criterion": [["valid", "loss", "min"]],
    "preprocessor": "distorting",
    "preprocessor_conf": {"distortion": {"chain": [{"name": "white", "snr_db": 10}]}},
}  # fmt: skip


def run(python: Path, *arguments, cwd: Path) -> str:
    """What a command prints; neither this checkout nor the caller's environment is on its path."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [python, *map(str, arguments)],
        cwd=cwd, env=env | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> Path:
    """Built from an sdist, as pip does it, and that from a copy: the checkout stays as it is."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in root.iterdir():
        if path.name.startswith(".") or path.name in ("egs", "test", "build"):
            continue
        if path.is_file():
            shutil.copy(path, source)
        elif not path.name.endswith(".egg-info"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, source / path.name, ignore=ignore)
    code = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"
    run(Path(sys.executable), "-c", code, out, cwd=source)
    (sdist,) = out.glob("*.tar.gz")
    pip = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, sdist)
    run(Path(sys.executable), *pip, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory) -> Path:
    """A fresh environment in which ESPnet and torch lie, as of this one, and the wheel."""
    out = tmp_path_factory.mktemp("environment")
    venv.create(out, with_pip=True)
    python = out / "bin/python"
    (ours,) = out.glob("lib/python*/site-packages")
    # As plain paths: the .pth file of an editable install of this checkout does not count.
    theirs = [path for path in sys.path if path.endswith("site-packages")]
    # ESPnet imports distutils, which since Python 3.12 is setuptools', by a .pth file of its own.
    shim = "import _distutils_hack; _distutils_hack.add_shim()"
    (ours / "espnet.pth").write_text("\n".join([*theirs, shim]) + "\n")
    pip = ("-m", "pip", "--disable-pip-version-check", "install", "--no-index")
    planned = run(python, *pip, "--dry-run", wheel, cwd=out).splitlines()[-1]
    # All that it asks for is there: no torch, no ESPnet and nothing else is replaced.
    assert planned.startswith("Would install espnet") and len(planned.split()) == 3, planned
    run(python, *pip, "--no-deps", "--force-reinstall", wheel, cwd=out)
    return python


def test_commands_and_configurations_come_with_it(elsewhere, root, tmp_path):
    command = elsewhere.with_name("espnet-robust")
    assert "Write a distorted copy of a Kaldi-format data dir." in run(
        command, "--help", cwd=tmp_path
    )
    conf = Path(run(command, "conf_dir", cwd=tmp_path).strip())
    assert conf.is_relative_to(elsewhere.parents[1])
    shipped, here = (
        {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*.yaml")}
        for top in (conf, root / "conf")
    )
    assert shipped == here

    rng = np.random.default_rng(0)
    for name in ("train", "noise_train", "rir_train"):  # of which conf/distortion/train.yaml draws
        data = tmp_path / "data" / name
        data.mkdir(parents=True)
        entries = {f"{name}-{n}": tmp_path / f"{name}-{n}.wav" for n in range(2)}
        for path in entries.values():
            soundfile.write(path, rng.normal(0, 0.1, 16000), 16000)
        (data / "wav.scp").write_text("".join(f"{utt} {path}\n" for utt, path in entries.items()))
        (data / "utt2spk").write_text("".join(f"{utt} {utt}\n" for utt in entries))
    options = ("--config", conf / "distortion/train.yaml", "--seed", 0)
    run(command, "distort_data_dir", *options, "data/train", "data/copy", cwd=tmp_path)
    assert (tmp_path / "data/copy/utt2distortion").read_text().count("\n") == 2
    check = ("data", "validate", "--audio", "--need", "wav.scp", "--", "data/copy")
    assert "data/copy: 2 utterances" in run(command, *check, cwd=tmp_path)


def test_trains_and_decodes_from_a_wheel(elsewhere, student_dir, tmp_path):
    code = "import espnet_robust; print(espnet_robust.register(), espnet_robust.__file__)"
    tables, where = run(elsewhere, "-c", code, cwd=tmp_path).split()
    assert int(tables) >= 14 and Path(where).is_relative_to(elsewhere.parents[1])

    rng = np.random.default_rng(0)
    tables = {"wav.scp": [], "text": [], "utt2spk": [], "utt2num_samples": []}
    for i, text in enumerate(["AB", "BA", "A", "B"]):
        soundfile.write(tmp_path / f"u{i}.wav", 0.1 * rng.standard_normal(8000), 16000)
        values = (tmp_path / f"u{i}.wav", text, f"u{i}", 8000)
        for table, value in zip(tables, values, strict=True):
            tables[table].append(f"u{i} {value}\n")
    (tmp_path / "set").mkdir()
    for table, lines in tables.items():
        (tmp_path / "set" / table).write_text("".join(lines))
    student = {"frontend_conf": {"student": {"path": str(student_dir)}}}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(CONFIG | student))
    (tmp_path / "tokens.txt").write_text("<blank>\n<unk>\nA\nB\n<sos/eos>\n")

    options = ["--config", "train.yaml", "--output_dir", "exp", "--token_list", "tokens.txt"]
    for split in ("train", "valid"):
        options += [f"--{split}_shape_file", "set/utt2num_samples"]
        for row in ("set/wav.scp,speech,sound", "set/text,text,text"):
            options += [f"--{split}_data_path_and_name_and_type", row]
    run(elsewhere, "-m", "espnet_robust.run", "espnet2.bin.asr_train", *options, cwd=tmp_path)
    decode = ("-m", "espnet_robust.bin.decode", "--exp", "exp", "--out", "decoded", "set")
    run(elsewhere, *decode, cwd=tmp_path)
    decoded = (tmp_path / "decoded/set/clean/text").read_text().splitlines()
    assert [line.split()[0] for line in decoded] == ["u0", "u1", "u2", "u3"]
