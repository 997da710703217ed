from pathlib import Path

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
