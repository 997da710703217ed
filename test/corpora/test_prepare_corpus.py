import subprocess
import sys
from pathlib import Path

import pytest

from espnet_robust.bin.prepare_corpus import main
from espnet_robust.corpora import CORPORA


def test_list(capsys):
    main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CORPORA) == sorted(CORPORA)
    assert all(len(line.split()) > 3 for line in lines)


def test_every_module_is_listed():
    from espnet_robust import corpora

    modules = {
        path.stem
        for path in Path(corpora.__file__).parent.glob("*.py")
        if "def prepare(" in path.read_text()
    }
    assert modules == set(CORPORA)


@pytest.mark.parametrize("command", [[], ["mni"], ["librispeech", "--root", "x"]])
def test_usage_errors(command, capsys):
    with pytest.raises(SystemExit) as e:
        main(command)
    assert e.value.code == 2


def test_a_mistake_is_one_line(tmp_path):
    command = ["librispeech", "--root", tmp_path / "none", "--sets", "dev-clean", "--out", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "espnet_robust.bin.prepare_corpus", *map(str, command)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "no such directory" in line
