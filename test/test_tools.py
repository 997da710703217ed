"""The tools that measure, at their smallest."""

import json
import os
import subprocess
import sys

import pytest


def rows(root, tool, *options):
    """The rows of the table it prints, header and rule aside, as lists of cells."""
    command = [sys.executable, "-W", "ignore", root / "tools" / tool, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.recipe
def test_padding_and_batch_mates_do_not_change_our_features(root):
    ours = [row for row in rows(root, "measure_invariance.py") if "robust_student" in row[0]]
    assert len(ours) == 9
    for _, padding, batch, lengths in ours:
        # The library's own features reach 7e-6 where no padding leaks (data2vec).
        assert float(padding) < 2e-5 and float(batch) < 2e-5 and lengths == "right"


@pytest.mark.recipe
def test_seconds_for_an_epoch(root):
    table = rows(root, "benchmark_frontend.py", "--seconds", "20", "--epochs", "2")
    assert [name for name, *_ in table] == ["student, `cache_gb: 0`", "student, `cache_gb: 2`",
                                            "log-mel"]  # fmt: skip
    assert all(float(seconds) > 0 for row in table for seconds in row[1:])


@pytest.mark.recipe
def test_the_page_of_a_report_opens_and_answers(root, browser):
    size = ("--systems", "3", "--conditions", "12", "--utterances", "200", "--runs", "1")
    table = rows(root, "benchmark_page.py", *size)
    assert table[0][0] == "opens" and len(table) == 8
    assert all(float(seconds) < 30 for _, seconds in table)


@pytest.mark.recipe
def test_our_encoder_trains_faster(root):
    table = rows(root, "benchmark_encoder.py", "--rounds", "3")
    assert len(table) == 2 and all(float(ratio) > 1.5 for *_, ratio in table)


@pytest.mark.recipe
def test_starts_of_commands_beside_another_checkout(root):
    commands = ["espnet-robust", "score"]
    table = rows(
        root, "benchmark_start.py", "--runs", "3", "--against", root, "--commands", *commands
    )
    assert [name for name, *_ in table] == [
        "`espnet-robust --help`",
        "`score --help`",
        "`import espnet_robust`",
        "`import espnet_robust.bin.score`",
    ]
    assert all(float(x) > 0 for row in table for x in row[1:])
    assert all(0.2 < float(row[-1]) < 5 for row in table)  # beside itself


@pytest.mark.recipe
def test_the_check_of_a_gpu_runs_on_a_cpu(root, tmp_path):
    command = [root / "tools/check_gpu.sh", "--out", tmp_path, "--device", "cpu", "--tiny", "true",
               "--parts", "machine steps loading", "--patience", "5"]  # fmt: skip
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    parts = json.loads((tmp_path / "figures.json").read_text())
    assert [part["status"] for part in parts.values()] == [0, 0, 0]
    steps = {row["step"]: row for row in parts["steps"]["figures"]}
    assert len(steps) == 10
    assert steps["setup1 cached"]["tflop"] < steps["setup2"]["tflop"]  # no teacher
    assert {row["workers"] for row in parts["loading"]["figures"]} == {1, 2}
    assert "setup2 + adversary, bf16" in (tmp_path / "tables.md").read_text()


def test_words_left_over_are_refused(root, tmp_path):
    command = [root / "tools/check_gpu.sh", "--out", tmp_path / "out", "--parts", "steps", "tests"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "unexpected 'tests': quote lists" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_part_that_failed_is_named(root, tmp_path):
    (tmp_path / "steps.status").write_text("0 7\n")
    (tmp_path / "steps.json").write_text('[{"ratio": 2.5}]')
    (tmp_path / "tests.status").write_text("124 90\n")
    out = tmp_path / "figures.json"
    command = [sys.executable, root / "tools/gather_figures.py", tmp_path, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "failed: tests" in done.stderr
    parts = json.loads(out.read_text())
    assert parts["steps"] == {"status": 0, "seconds": 7, "figures": [{"ratio": 2.5}]}
    assert parts["tests"] == {"status": 124, "seconds": 90, "figures": None}


def test_a_virtual_slurm_leaves_a_folder_that_was_used_alone(root, tmp_path):
    """Its pid files may name a Slurm that runs, or anything that began after a reboot."""
    (tmp_path / "state").mkdir()
    (tmp_path / "slurm.conf").touch()
    with subprocess.Popen(["sleep", "60"]) as process:
        (tmp_path / "slurmctld.pid").write_text(str(process.pid))
        command = [sys.executable, root / "tools/virtual_slurm.py", "start", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True)
        lives = process.poll() is None
        process.kill()
    assert lives and done.returncode == 1
    assert done.stderr == (
        f"{tmp_path}: used before; if its Slurm runs, stop it; then name a new directory\n"
    )
