"""What all commands share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_robust.common.cli import Parser, run, summary
from espnet_robust.common.errors import UserError


@pytest.fixture
def parser():
    parser = Parser(prog="espnet-robust x", description="One.\n\nTwo.")
    parser.add_argument("--decode_dir")
    parser.add_argument("--skip_bad", action="store_true")
    parser.add_argument("names", nargs="*")
    return parser


@pytest.mark.parametrize(
    "cmd",
    [
        ["--decode_dir", "a-b", "--skip_bad", "c-d"],
        ["--decode-dir", "a-b", "--skip-bad", "c-d"],
        ["--decode-dir=a-b", "--skip-bad", "--", "c-d"],
    ],
)
def test_both_spellings_of_options(parser, cmd):
    args = parser.parse_args(cmd)
    assert (args.decode_dir, args.skip_bad, args.names) == ("a-b", True, ["c-d"])


def test_a_subcommand_understands_both_spellings():
    parser = Parser(prog="x")
    sub = parser.add_subparsers().add_parser("fsdd")
    sub.add_argument("--test_speakers")
    assert parser.parse_args(["fsdd", "--test-speakers", "a-b"]).test_speakers == "a-b"


@pytest.mark.parametrize(
    "value", ["--max-epoch 5 --optim-conf lr=0.1", "--a-b c-d", "--a-b 1\n--c-d=1", "--a-b c=--d-e"]
)
def test_values_stay_as_they_are(parser, value):
    """A value with a blank may begin with dashes, as options that are handed on do."""
    assert parser.parse_args(["--decode-dir", value]).decode_dir == value
    assert parser.parse_args([f"--decode-dir={value}"]).decode_dir == value


def test_names_after_two_dashes_are_left_alone(parser):
    assert parser.parse_args(["--", "--a-b"]).names == ["--a-b"]


def test_help_shows_one_spelling_and_keeps_paragraphs(parser):
    shown = parser.format_help()
    assert "--decode_dir" in shown and "--decode-dir" not in shown and "One.\n\nTwo." in shown


def test_the_command_line_is_read_where_no_arguments_are_given(parser, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--decode-dir", "y"])
    assert parser.parse_args().decode_dir == "y"


def test_summary_of_a_module_that_is_not_imported():
    assert summary("espnet_robust.corpora.esc50").startswith("ESC-50 and ESC-10: ")


def test_a_users_mistake_is_one_line(capsys):
    def main():
        raise UserError("a.wav: no samples in it")

    with pytest.raises(SystemExit) as e:
        run(main)
    assert e.value.code == 1
    assert capsys.readouterr().err == "error: a.wav: no samples in it\n"


def test_what_the_system_refuses_is_one_line(capsys):
    def main():
        with open("/dev/full", "w") as f:
            f.write("x")

    with pytest.raises(SystemExit) as e:
        run(main)
    assert e.value.code == 1
    assert capsys.readouterr().err == "error: output: No space left on device\n"


def test_other_errors_of_the_system_are_bugs():
    with pytest.raises(FileNotFoundError):
        run(Path("/none").read_text)


def status_and_errors(body: str, stdout: int) -> tuple[int, str]:
    """Of a command whose ``main`` does this."""
    script = f"""
import sys
from espnet_robust.common.cli import Parser, run
from espnet_robust.common.errors import UserError
def main():
    {body}
run(main)
"""
    command = [sys.executable, "-c", script]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=env)
    return done.returncode, done.stderr


@pytest.fixture
def left():
    """A pipe that nobody reads any more, as ``| head`` leaves behind."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ("print('a few words, which wait in the buffer')", ""),
        ("print('more than the buffer holds ' * 10_000)", ""),
        ("Parser().parse_args(['--help'])", ""),
        ("print('a row'); raise UserError('a.wav: no samples')", "error: a.wav: no samples\n"),
    ],
)
def test_a_reader_who_left_ends_the_command_quietly(body, errors, left):
    assert status_and_errors(body, left) == (1, errors)


def test_a_full_disk_is_reported_when_what_was_printed_is_written_out():
    with open("/dev/full", "w") as full:
        status, errors = status_and_errors("print('a row')", full.fileno())
    assert (status, errors) == (1, "error: output: No space left on device\n")


def test_another_broken_pipe_is_a_bug():
    status, errors = status_and_errors("raise BrokenPipeError(32, 'Broken pipe')", subprocess.PIPE)
    assert status == 1 and "Traceback" in errors and "BrokenPipeError" in errors
