"""One training: what is shown, what is kept, what ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from espnet_robust.common.errors import DataDirError, UserError
from espnet_robust.common.made_of import Output
from espnet_robust.common.processes import locked
from espnet_robust.recipe.training import TrainingFailed, train

WRITES = """
import pathlib, sys
out = pathlib.Path(sys.argv[1])
print("2026 INFO: 1/2epoch started. Estimated")
(out / "config.yaml").write_text("a: 1")
(out / "best.pth").write_text("x")
"""


@pytest.fixture
def do(tmp_path):
    """do(code, **options): a training in OUT that runs this Python code."""

    def do(code: str, made_of: object = 1, **options) -> Path:
        output = Output(tmp_path / "out", {"config": {"a": made_of}})
        command = [sys.executable, "-S", "-c", code, str(output.path)]
        train(output, {"a": 1}, command, "asr x 0", "best.pth", **({"redo": False} | options))
        return output.path

    return do


def test_shows_begin_and_end_and_keeps_the_rest(do, capsys):
    out = do("print('noise'); " + WRITES)
    shown = capsys.readouterr().err.splitlines()
    begin, end = (line.partition(" [")[2] for line in shown)
    assert begin == f"asr x 0] begins; all output in {out}.log"
    assert end.startswith("asr x 0] done in 0:0")
    assert Path(f"{out}.log").read_text().startswith("noise\n")
    assert (out / "train.yaml").read_text() == "a: 1\n"
    do("raise SystemExit('it is done')")


def test_a_failure_is_its_own_error_and_goes_on_later(do):
    with pytest.raises(TrainingFailed, match=r"\[asr x 0\] u1: no audio; all output in .*out.log"):
        do("print('error: u1: no audio'); print('later'); raise SystemExit(1)")
    raised = "[rank1]: Traceback", "[rank1]: ValueError: no", "[rank0]: RuntimeError: peer lost"
    with pytest.raises(TrainingFailed, match=r"\[asr x 0\] \[rank1\]: ValueError: no; all"):
        do(f"print(*{[*raised, 'rank 1 ended']}, sep='\\n'); raise SystemExit(1)")
    with pytest.raises(TrainingFailed, match="the last line; all"):
        do("print('the last line'); raise SystemExit(1)")
    with pytest.raises(TrainingFailed, match="training left no best.pth"):
        do(WRITES.replace("best.pth", "other.pth"))
    assert (do(WRITES) / "best.pth").exists()


def test_a_model_does_not_count_if_the_training_failed_after_it(do):
    for _ in range(2):
        with pytest.raises(TrainingFailed, match="best.pth: damaged"):
            do(WRITES + "print('error: best.pth: damaged'); raise SystemExit(1)")


def test_refused_until_redo(do, capsys):
    do(WRITES)
    with pytest.raises(UserError, match="something else: config a: 1 -> 2; --redo deletes it and"):
        do(WRITES, made_of=2)
    do(WRITES, made_of=2, redo=True)
    assert "out: deleted, to be made again: config a: 1 -> 2" in capsys.readouterr().err


def test_another_node_only_lends_its_processes(do, tmp_path):
    code = "import sys; print('here'); open(sys.argv[1] + '.ran', 'a').write('x')"
    do(code, node=1)
    assert (tmp_path / "out.node1.log").read_text() == "here\n"
    assert not (tmp_path / "out").exists()  # the first node begins and finishes it
    do(WRITES)
    do(code, node=1)
    assert (tmp_path / "out.ran").read_text() == "x"
    with pytest.raises(UserError, match="something else: config a: 1 -> 2"):
        do(code, node=1, made_of=2)


def test_two_at_once(do, tmp_path):
    with (
        locked(tmp_path / ".out.lock", "x"),
        pytest.raises(DataDirError, match="out: another process is making it"),
    ):
        do(WRITES)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ends_with_its_parent(root, tmp_path, number):
    code = (
        "import sys; from pathlib import Path; from espnet_robust.common.made_of import Output; "
        "from espnet_robust.recipe.training import train; out = Path(sys.argv[1]); "
        "train(Output(out / 'out', {}), {}, [sys.executable, '-S', '-c', 'import os, time, sys; "
        'open(sys.argv[1] + "/pid", "w").write(str(os.getpid())); time.sleep(60)\', str(out)], '
        "'x', 'best.pth', redo=False)"
    )
    env = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=env) as parent:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.05)
        parent.send_signal(number)
    child = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 20
    while time.monotonic() < until and Path(f"/proc/{child}").exists():
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()
