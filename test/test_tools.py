"""The tools that measure, at their smallest."""

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
        assert float(padding) < 1e-5 and float(batch) < 1e-5 and lengths == "right"


@pytest.mark.recipe
def test_seconds_for_an_epoch(root):
    table = rows(root, "benchmark_frontend.py", "--seconds", "20", "--epochs", "2")
    assert [name for name, *_ in table] == ["student, `cache_gb: 0`", "student, `cache_gb: 2`",
                                            "log-mel"]  # fmt: skip
    assert all(float(seconds) > 0 for row in table for seconds in row[1:])


@pytest.mark.recipe
def test_our_encoder_trains_faster(root):
    table = rows(root, "benchmark_encoder.py")
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
