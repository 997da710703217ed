from pathlib import Path

import pytest

from espnet_robust.common.shown_command import shown_command


def test_nothing_of_this_machine(tmp_path):
    recipe = tmp_path / "egs/mini/asr1"
    recipe.mkdir(parents=True)
    given = (
        f"{recipe}/../../TEMPLATE/asr1/asr.sh --token_type bpe --fsdd {tmp_path}/fsdd --nj 4 "
        f"--rir={tmp_path} --results RESULTS.md --stage 10 --asr_args '--max_epoch 9' --seeds '0 1'"
    )
    shown = shown_command(given, recipe)
    assert shown == (
        "../../TEMPLATE/asr1/asr.sh --token_type bpe --fsdd DIR --rir=DIR "
        "--asr_args '--max_epoch 9' --seeds '0 1'"
    )
    assert shown_command(shown, recipe) == shown
    assert shown_command("", Path()) == ""


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("--compare B=/home/me/b 'C=/home/my own/c' D=../d", "--compare B=DIR C=DIR D=../d"),
        ("--asr_args '--init_param /home/me/y.pth --seed 1'",
         "--asr_args '--init_param DIR --seed 1'"),
        ("--asr_args='--init=/home/me/y.pth --lr 1/2'", "'--asr_args=--init=DIR --lr 1/2'"),
        ("--asr_args '--a [/home/me/b,/c] --b (/d)'", "--asr_args '--a [DIR,DIR] --b (DIR)'"),
        ("""--asr_args "--init '/home/my own/y' --seed 1" """,
         """--asr_args '--init '"'"'DIR'"'"' --seed 1'"""),
        ("--url https://x.org/y --set a/b '{A / B}'", "--url https://x.org/y --set a/b '{A / B}'"),
    ],
)  # fmt: skip
def test_paths_within_words(given, shown):
    assert shown_command(f"run.sh {given}", Path()) == f"run.sh {shown}"
    assert shown_command(f"run.sh {shown}", Path()) == f"run.sh {shown}"


def test_a_quote_that_does_not_close():
    assert shown_command("it's mine --rir /home/me", Path()) == """'it'"'"'s' mine --rir DIR"""
