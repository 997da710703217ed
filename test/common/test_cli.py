"""What all commands share."""

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
