"""``espnet_robust.run`` in the place of Python, as ESPnet's recipes take it by --python."""

import subprocess
import sys

import pytest


@pytest.fixture
def python(root, monkeypatch):
    """python(*args): the run of ``python3 -m espnet_robust.run ARGS``."""
    monkeypatch.setenv("PYTHONPATH", str(root))

    def python(*args, **options):
        command = [sys.executable, "-m", "espnet_robust.run", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return python


def test_modules_files_and_code(python, tmp_path):
    done = python("-m", "json.tool", "--compact", input='{"a": 1}')
    assert (done.returncode, done.stdout) == (0, '{"a":1}\n')
    (tmp_path / "beside.py").write_text("X = 7\n")
    (tmp_path / "a.py").write_text("import sys, beside\nprint(sys.argv[1:], beside.X, __name__)\n")
    done = python(str(tmp_path / "a.py"), "--b", "-m")
    assert (done.returncode, done.stdout) == (0, "['--b', '-m'] 7 __main__\n")
    done = python("-c", "import sys; print(sys.argv[1])", "x")
    assert (done.returncode, done.stdout) == (0, "x\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-m", "no_such_module"], "error: no_such_module: "),
        (["no_such.py"], "error: no_such.py: no such file"),
        (["-m"], "error: usage: espnet-robust run espnet2.bin.COMMAND"),
    ],
)
def test_one_line(python, args, message):
    done = python(*args)
    assert done.returncode == 1 and done.stderr.startswith(message), done.stderr
    assert done.stderr.count("\n") == 1


def test_a_line_of_espnets_recipe(python, tmp_path):
    """As asr.sh has it: ``${python} -m espnet2.bin.asr_train --config ... `` with our frontend."""
    (tmp_path / "train.yaml").write_text("frontend: robust_student\n")
    config = ["--config", str(tmp_path / "train.yaml")]
    done = python("-m", "espnet2.bin.asr_train", *config, "--print_config", cwd=tmp_path)
    assert done.returncode == 0 and "frontend: robust_student" in done.stdout, done.stderr
