"""The package as it is installed from a wheel, away from the checkout."""

import shutil
import subprocess
import sys
import sysconfig
import venv

import numpy as np
import pytest
import soundfile

from espnet_robust.shipped import conf_dir


def test_the_checkout_has_its_own_configuration(root):
    assert conf_dir() == root / "conf"


@pytest.fixture(scope="module")
def installed(root, tmp_path_factory):
    """bin/ of an environment with the wheel, and with this environment's other packages."""
    there = tmp_path_factory.mktemp("wheel")
    source = there / "source"
    for name in ("espnet_robust", "conf"):
        shutil.copytree(root / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", there, source]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = there.glob("*.whl")
    shutil.rmtree(source)
    venv.create(there / "venv", with_pip=False, symlinks=True)
    python = there / "venv/bin/python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    purelib = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    with open(f"{purelib.stdout.strip()}/others.pth", "w") as f:
        f.write(sysconfig.get_path("purelib"))
    subprocess.run(
        [*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True
    )
    return there / "venv/bin"


def call(installed, *args, cwd):
    done = subprocess.run(
        [installed / "espnet-robust", *map(str, args)], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.recipe
def test_commands_and_configurations_come_with_the_wheel(installed, root, tmp_path):
    assert "distort_data_dir  Write a distorted copy" in call(installed, "--help", cwd=tmp_path)
    conf = call(installed, "conf_dir", cwd=tmp_path).strip()
    assert conf.startswith(str(installed.parent))
    shipped, here = (
        {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*.yaml"))}
        for top in (type(root)(conf), root / "conf")
    )
    assert shipped == here

    rng = np.random.default_rng(0)
    for name in ("train", "noise_train", "rir_train"):
        data = tmp_path / "data" / name
        data.mkdir(parents=True)
        entries = {f"{name}-{n}": tmp_path / f"{name}-{n}.wav" for n in range(2)}
        for path in entries.values():
            soundfile.write(path, rng.normal(0, 0.1, 16000), 16000)
        (data / "wav.scp").write_text("".join(f"{utt} {path}\n" for utt, path in entries.items()))
        (data / "utt2spk").write_text("".join(f"{utt} {utt}\n" for utt in entries))
    options = ["--config", f"{conf}/distortion/train.yaml", "--seed", "0"]
    call(installed, "distort_data_dir", *options, "data/train", "data/copy", cwd=tmp_path)
    assert (tmp_path / "data/copy/utt2distortion").read_text().count("\n") == 2
    call(
        installed,
        "data",
        "validate",
        "--audio",
        "--need",
        "wav.scp",
        "--",
        "data/copy",
        cwd=tmp_path,
    )
