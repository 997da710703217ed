"""Thirty changes between two runs of a recipe: what each stage does, and that the advice mends it.

A change costs what depends on it: copies and decoding are made again at once; a training is refused
with a line that says what has changed, and --redo makes it again, with all that follows from it.
"""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from espnet_robust.bin import list_systems
from espnet_robust.common.errors import UserError
from espnet_robust.common.files import read_json
from espnet_robust.common.made_of import Output, difference
from espnet_robust.data.audio import write_audio
from espnet_robust.publish.repos import packed
from espnet_robust.recipe.outputs import Outputs, pretrained
from espnet_robust.recipe.recorded import as_recorded
from espnet_robust.recipe.skipped import (
    check_pretrained,
    check_skipped,
    current,
    other_commits,
    others,
)
from test.recipe.conftest import PROTOCOL, RECIPE_YAML, SYSTEMS, write_speech

DECODED = ["teacher test", "cdm1 test"]
STUDENT = ["cdm1 distill", "cdm1 student"]
CDM1 = [*STUDENT, "cdm1 asr", "cdm1 test"]
ALL = ["teacher asr", "teacher test", *CDM1]
RECOGNISERS = ["teacher asr", "teacher test", "cdm1 asr", "cdm1 test"]
COPY = ["copy test_noise"]
COPIES = [*COPY, "copy test_clip"]


def edit(path, find, replace):
    def change(run):
        text = Path(path).read_text()
        assert find in text
        Path(path).write_text(text.replace(find, replace))
        return run

    return change


def write(path, text):
    def change(run):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
        return run

    return change


def option(**options):
    return lambda run: run.with_(**options)


def other_audio(name):
    """Audio replaced in place, of the same length."""

    def change(run):
        rng = np.random.default_rng(99)
        write_audio(f"audio/{name}/a.flac", rng.uniform(-0.3, 0.3, 1600).astype(np.float32))
        return run

    return change


def speech(name, ids, seed=7):
    def change(run):
        write_speech(name, ids, seed)
        return run

    return change


def all_of(*changes):
    def change(run):
        for one in changes:
            run = one(run)
        return run

    return change


def plan_set(name):
    return all_of(speech(name, "abcd"), option(train=Path("data", name)))


def hear(mixture):
    return lambda run: run.with_(recipe=replace(run.plan.recipe, asr_distortion=mixture))


CONF = "../../../conf"
SECOND = "systems: {cdm1: {distortion: conf/distortion/second.yaml}}\n"
# what changed, how, refused until --redo, what is made again in the end, what the message says
CHANGES = [
    ("nothing", lambda run: run, False, [], ""),
    ("a test condition", edit("protocol.yaml", "10", "5"), False, [*COPY, *DECODED], ""),
    ("a condition removed", edit("protocol.yaml", "  clip", "  # clip"), False, DECODED, ""),
    ("a condition added",
     write("protocol.yaml", PROTOCOL + "  white: {chain: [white], snr_db: 5}\n"),
     False, ["copy test_white", *DECODED], ""),
    ("another protocol", option(protocols=("other.yaml",)), False,
     ["copy test_clip2", *DECODED], ""),
    ("no protocol", option(protocols=("none",)), False, DECODED, ""),
    ("audio of the test set", other_audio("test"), False, [*COPIES, *DECODED], ""),
    ("utterances of the test set", speech("test", "abcde"), False, [*COPIES, *DECODED], ""),
    ("text of the test set", edit("data/test/text", "a A B C", "a B"), False,
     [*COPIES, *DECODED], ""),
    ("the mixture of training", edit(f"{CONF}/distortion/own.yaml", "snr_db: 10", "snr_db: 0"),
     True, CDM1, "config distortion.chain: "),
    ("the mixture of a system", all_of(write(f"{CONF}/distortion/second.yaml", "chain: [clip]\n"),
     write("conf/distill.yaml", RECIPE_YAML + SECOND)), True, CDM1, "config distortion.chain: "),
    ("--train_distortion", option(train_distortion="dev_mixture.yaml"), True, CDM1,
     "config distortion.chain"),
    ("the mixture of development", edit("dev_mixture.yaml", "10", "0"), True, CDM1,
     "config valid_distortion.chain"),
    ("noise that training hears", all_of(other_audio("noise"), write("protocol.yaml",
     "conditions: {clip: {chain: [{name: clip, overdrive_db: 15}]}}")), True,
     [*CDM1, "teacher test"], "drawn from data/noise audio changed"),
    ("noise that development hears", other_audio("noise_dev"), True, CDM1,
     "drawn from data/noise_dev audio changed"),
    ("audio of the training set", other_audio("train"), True, ALL, "data/train audio changed"),
    ("utterances of the training set", speech("train", "abcd", 0), True, ALL,
     "data/train audio changed"),
    ("text of the training set", edit("data/train/text", "a A B C", "a C B A"), True,
     RECOGNISERS, "labels data/train/text changed"),
    ("audio of the dev set", other_audio("dev"), True, ALL, "data/dev audio changed"),
    ("--train_set", plan_set("more"), True,
     RECOGNISERS, "data/train audio is gone"),
    ("--distill_set", all_of(speech("more", "abcd"), option(distill_train=Path("data/more"))), True,
     CDM1, "config train_data_path_and_name_and_type: "),
    ("--teacher", all_of(lambda run: shutil.copytree("teacher", "teacher2") and run,
     option(teacher="teacher2")), True, ALL, "teacher -> teacher2"),
    ("the teacher's weights", write("teacher/model.safetensors", "others"), True, ALL,
     "teacher teacher model.safetensors changed"),
    ("--nbpe", option(nbpe=6), True, RECOGNISERS,
     "labels data/tokens/bpe.model changed"),
    ("--nbpe that changes the tokens", all_of(edit("data/train/text", "a A B C", "a AB ABC"),
     option(nbpe=7)), True, RECOGNISERS,
     "labels data/tokens/"),
    ("--token_type", option(token_type="char"), True,
     RECOGNISERS, "config bpemodel"),
    ("--checkpoint", option(checkpoint="other.pth"), False, DECODED, ""),
    ("--decode_options", option(decode_options="--method beam"), False, DECODED, ""),
    ("--asr_args", option(task_args="--optim_conf lr=0.5"), True, RECOGNISERS,
     "config optim_conf.lr: 0.003 -> 0.5"),
    ("--distill_args", option(distill_args="--max_epoch 7"), True, CDM1, "config max_epoch: "),
    ("a learning rate of the recogniser", write("conf/asr.yaml", "optim_conf: {lr: 0.5}\n"), True,
     RECOGNISERS, "config optim_conf.lr: 0.003 -> 0.5"),
    ("--asr_distortion", hear("train"), True, RECOGNISERS, "config preprocesso"),
    ("the recipe's changes for one system", write("conf/distill.yaml", RECIPE_YAML +
     "systems: {cdm1: {loss_conf: {l1: 2.0}}}\n"), True, CDM1, "config loss_conf.l1: 1.0 -> 2.0"),
    ("the steps of the budget", edit(f"{CONF}/budget/tiny.yaml", "num_iters_per_epoch: 2",
     "num_iters_per_epoch: 4"), True, CDM1, "config num_iters_per_epoch: 2 -> 4"),
    ("the number of workers", write("conf/distill.yaml", RECIPE_YAML + "num_workers: 3\n"), False,
     [], ""),
    ("the distillation deleted", lambda run: shutil.rmtree("exp/tiny/cdm1_seed0/distill") or run,
     False, ["cdm1 distill"], ""),
    ("the recogniser deleted", lambda run: shutil.rmtree("exp/tiny/cdm1_seed0/asr") or run, False,
     ["cdm1 asr"], ""),
    ("the student damaged", write("exp/tiny/cdm1_seed0/student/model.safetensors", ""), False,
     ["cdm1 student"], ""),
    ("the recogniser damaged", write("exp/tiny/cdm1_seed0/asr/valid.loss.best.pth", ""), True,
     ["cdm1 asr"], "valid.loss.best.pth was changed after it was written"),
    ("a recogniser of an earlier version",
     lambda run: os.remove("exp/tiny/cdm1_seed0/asr/made_of.json") or run, True, ["cdm1 asr"],
     "it does not say what it was made of"),
    ("decoded texts damaged", write("exp/tiny/cdm1_seed0/decode/test/decode.json", ""), False,
     ["cdm1 test"], ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "refused", "made", "message"),
    [row[1:] for row in CHANGES],
    ids=[row[0] for row in CHANGES],
)
def test_change(recipe, change, refused, made, message):
    first = recipe()
    assert set(first().values()) == {"made"}
    second = change(first)
    did = second()
    assert ("refused" in did) == refused, did
    if refused:
        assert message in did["refused"] and "--redo" in did["refused"]
        assert "--tag" in did["refused"] and "\n" not in did["refused"]
        did |= {k: v for k, v in second(redo=True).items() if did.get(k) != "made"}
        del did["refused"]
    assert sorted(name for name, what in did.items() if what != "kept") == sorted(made)
    assert set(second().values()) <= {"kept"}  # never stuck
    # The other way that the message names: a new experiment beside it needs no --redo.
    beside = second.with_(exp=Path("exp/other/tiny"))
    assert "refused" not in beside() and set(beside().values()) == {"kept"}
    assert set(second().values()) <= {"kept"}


def test_there_are_thirty():
    assert len(CHANGES) >= 30 and len({row[0] for row in CHANGES}) == len(CHANGES)


@pytest.mark.parametrize(
    ("change", "stage", "message"),
    [
        (edit("protocol.yaml", "10", "5"), 4, "test_noise: was made of something else: config "
         "snr_db: 10 -> 5; begin with --stage 3"),
        (edit("protocol.yaml", "  clip", "  # clip"), 8, "test_clip: protocol.yaml no longer "
         "has this condition; begin with --stage 3"),
        (other_audio("train"), 6, "distill: was made of something else: data/train audio changed; "
         "begin with --stage 5 --redo"),
        (lambda run: shutil.rmtree("exp/tiny/cdm1_seed0/distill") or run, 6,
         "distill: it is not there; begin with --stage 5"),
        (write("exp/tiny/cdm1_seed0/student/config.yaml", ""), 8, "student: was made of something "
         "else: config.yaml was changed after it was written; begin with --stage 6"),
        (edit("data/train/text", "a A B C", "a B"), 8, "asr: was made of something else: labels "
         "data/train/text changed; begin with --stage 7 --redo"),
        (option(checkpoint="other.pth"), 9, "decode/test: was made of something else: model "),
        (option(decode_options="--method beam"), 10, "options method: greedy -> beam"),
        (option(decode_options="--meth beam"), 10, "unrecognized arguments: --meth beam"),
        (lambda run: run, 10, "it does not say what it was made of; begin with --stage 9"),
    ],
)  # fmt: skip
def test_stages_that_are_passed_over(recipe, change, stage, message):
    run = recipe()
    run()
    check_skipped(run.plan, range(9, 11), SYSTEMS, ["0"])
    changed = change(run)
    if stage <= 9:
        check_skipped(
            changed.plan, range(1, 11), SYSTEMS, ["0"]
        )  # all stages run: each looks for itself
    if "test_" in message:
        check_skipped(changed.plan, range(4, 8), [], ["0"])  # no copies are read
    with pytest.raises(UserError) as e:
        check_skipped(changed.plan, range(stage, 11), ["cdm1"], ["0"])
    assert message in str(e.value)


def score(run):
    """What stage 9 leaves."""
    for system in SYSTEMS:
        for output in Outputs(run.plan).scored(system, "0"):
            output.begin()
            (output.path / "scores.json").write_text(json.dumps(output.made_of))
            output.finish(["scores.json"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (option(score_options="--symbols words.txt --case lower"),
         "options normalisation.case is new"),
        (option(score_options="--symbols words.txt --alignment sclite"),
         "options alignment: fewest -> sclite"),
        (option(score_options="--symbols words.txt --strict"), "options strict: False -> True"),
        (option(score_options=""), "options normalisation.symbols is gone"),
        (edit("words.txt", "<noise>", "<music>"), "options normalisation.symbols: words.txt "),
    ],
)  # fmt: skip
def test_other_scoring_is_no_longer_current(recipe, change, message):
    """Stage 9 always scores; a run that begins later must have scored in the same way."""
    Path("words.txt").write_text("<noise>\n")
    run = recipe().with_(score_options="--symbols words.txt")
    run()
    score(run)
    check_skipped(run.plan, [10], SYSTEMS, ["0"])
    changed = change(run)
    assert set(changed().values()) == {"kept"}  # all that comes before
    with pytest.raises(UserError) as e:
        check_skipped(changed.plan, [10], SYSTEMS, ["0"])
    assert message in str(e.value) and str(e.value).endswith("; begin with --stage 9")
    assert current(changed.plan, SYSTEMS, ["0"]) == []
    score(changed)
    check_skipped(changed.plan, [10], SYSTEMS, ["0"])


def test_checkpoints_may_be_deleted_once_there_is_a_student(recipe):
    run = recipe()
    run()
    for path in Path("exp/tiny/cdm1_seed0/distill").glob("*.pth"):
        path.unlink()
    assert set(run().values()) == {"kept"}
    check_skipped(run.plan, range(9, 11), SYSTEMS, ["0"])
    shutil.rmtree("exp/tiny/cdm1_seed0/student")
    assert "valid.distill.best.pth is missing" in run()["refused"]
    assert "refused" not in run(redo=True)


def test_the_table_has_the_others_of_the_experiment_as_far_as_they_are_current(recipe, capsys):
    run = recipe()
    run()
    for system in SYSTEMS:
        assert others(run.plan, ["cdm1"], ["0"]) == [s for s in ("teacher",) if system != "teacher"]
        directory = run.plan.directory(system, "0")
        (directory / "scores.json").write_text("{}")
    assert others(run.plan, ["cdm1"], ["0"]) == ["teacher"]
    assert others(run.plan, ["cdm1"], ["0", "1"]) == []
    assert current(run.plan, ["teacher"], ["0"]) == []  # it was never scored
    assert "teacher is left out of the table: " in capsys.readouterr().err


def test_another_commit_is_said_and_nothing_else(recipe, monkeypatch):
    run = recipe()
    run()
    record = read_json("exp/tiny/cdm1_seed0/asr/made_of.json")
    now = record["commit"] or "0" * 10
    for name in ("made_of", "skipped"):
        monkeypatch.setattr(f"espnet_robust.{'common' if name == 'made_of' else 'recipe'}.{name}"
                            ".commit", lambda: "1234567890")  # fmt: skip
    said = other_commits(run.plan, SYSTEMS, ["0"])
    assert set(run().values()) == {"kept"}
    if record["commit"]:
        assert f"outputs were made by commit {now}, not by this one, 1234567890" in said


def test_what_is_read_of_babble_is_its_audio(recipe):
    """Its voices are those of the training set, whose text does not matter to a distillation."""
    babble = "chain: [{name: babble, speech: data/train, voices: 1, snr_db: 5}]\n"
    Path(f"{CONF}/distortion/own.yaml").write_text(babble)
    run = recipe()
    run()
    edit("data/train/text", "a A B C", "a C B A")(run)
    assert Outputs(run.plan).distilled("cdm1", "0").changes() == []
    assert Outputs(run.plan).trained("cdm1", "0").changes() == ["labels data/train/text changed"]
    other_audio("train")(run)
    assert (
        "drawn from data/train audio changed" in Outputs(run.plan).distilled("cdm1", "0").changes()
    )


def test_segments_decide_a_pretrained_teacher(recipe):
    recipe()
    Path("round.yaml").write_text("steps: 1\n")
    before = pretrained(Path("round.yaml"), [Path("data/train")], Path("exp/t")).made_of
    Path("data/train/segments").write_text("a a 0 0.05\n")
    after = pretrained(Path("round.yaml"), [Path("data/train")], Path("exp/t")).made_of
    assert difference(before, after) == ["data/train segments is new"]


@pytest.mark.parametrize(("rt60", "changes"), [
    (", rt60: 0.3", ["drawn from data/rooms utt2rt60 changed"]), ("", []),
])  # fmt: skip
def test_reverberation_times_decide_if_rooms_are_drawn_by_them(recipe, rt60, changes):
    run = recipe()
    write_speech("rooms", "abc", seed=9)
    Path("data/rooms/utt2rt60").write_text("a 0.3\nb 0.6\nc 0.9\n")
    rooms = f"chain: [{{name: rir, rir: data/rooms{rt60}}}]\n"
    Path(f"{CONF}/distortion/own.yaml").write_text(rooms)
    Path("round.yaml").write_text(f"steps: 1\ndistortion: {CONF}/distortion/own.yaml\n")
    teacher = (Path("round.yaml"), [Path("data/train")], Path("exp/t"))
    distilled, pretraining = Outputs(run.plan).distilled("cdm1", "0"), pretrained(*teacher)
    Path("data/rooms/utt2rt60").write_text("a 0.9\nb 0.6\nc 0.3\n")
    now = Outputs(run.plan).distilled("cdm1", "0")
    assert difference(distilled.made_of, now.made_of) == changes
    assert difference(pretraining.made_of, pretrained(*teacher).made_of) == changes


def test_where_a_training_is_logged_does_not_decide_it(recipe):
    """Nor does it for trainings whose records still name it."""
    run = recipe()
    run()
    logged = "--use_wandb true --wandb_project mine --log_level DEBUG --use_matplotlib false"
    assert set(run.with_(distill_args=logged, task_args=logged)().values()) == {"kept"}
    record = Path("exp/tiny/cdm1_seed0/asr/made_of.json")
    content = read_json(record)
    content["made_of"]["config"] |= {"wandb_project": "mine"}
    record.write_text(json.dumps(content))
    assert set(run().values()) == {"kept"}


def test_classes_in_the_directory_of_an_earlier_version(tmp_path):
    """Its name lacked the label: the same classes are the same, others are not."""
    path, old, new = tmp_path / "cls", "data/classes_train", Path("data/classes_train_utt2intent")

    def made_of(where, digest):
        return {"config": {"token_list": f"{where}/tokens.txt"}, "labels": {f"{where}/dev": digest}}

    Output(path, made_of(old, "a")).begin()
    for digest, changes in (("a", []), ("b", [f"labels {old}/dev: a -> b"])):
        now = as_recorded(path, made_of(new, digest), new, "utt2intent")
        assert Output(path, now).changes() == changes
    Output(path, made_of(new, "a")).begin()
    now = as_recorded(path, made_of(new, "a"), new, "utt2intent")
    assert now == made_of(new, "a")


def test_a_copy_that_two_protocols_share(recipe):
    """It names one of them, and the tables of the other must not lack it without a word."""
    run = recipe()
    Path("shared.yaml").write_text(PROTOCOL.replace("clip:", "clip3:"))
    run()
    both = run.with_(protocols=("protocol.yaml", "shared.yaml"))
    both()
    check_skipped(both.plan, range(8, 11), [], ["0"])
    check_skipped(both.with_(protocols=("shared.yaml",)).plan, range(8, 11), [], ["0"])
    with pytest.raises(UserError) as e:
        check_skipped(run.plan, range(8, 11), [], ["0"])
    assert str(e.value) == (
        "data/test_noise: is now a copy of shared.yaml, not of protocol.yaml; begin with --stage 3"
    )
    assert "refused" not in run()
    check_skipped(run.plan, range(8, 11), [], ["0"])


def test_an_upload_alone_needs_what_was_packed_of_these_scores(recipe):
    run = recipe()
    run()
    score(run)
    check_skipped(run.plan, [11, 12], SYSTEMS, ["0"])
    with pytest.raises(UserError, match=r"packed: it is not there; begin with --stage 11$"):
        check_skipped(run.plan, [12], SYSTEMS, ["0"])
    for system in SYSTEMS:
        output = packed(run.plan.directory(system, "0"), "asr", run.plan.checkpoint)
        output.begin()
        output.finish([])
    check_skipped(run.plan, [12], SYSTEMS, ["0"])
    score(other := run.with_(score_options="--strict"))
    with pytest.raises(UserError, match=r"scores.json changed; begin with --stage 11$"):
        check_skipped(other.plan, [12], ["cdm1"], ["0"])


def test_scores_of_a_model_that_was_trained_again_are_not_packed(recipe, capsys):
    run = recipe()
    run()
    score(run)
    given = ["--task", "asr", "--exp", "exp/tiny", "--budget", "tiny", "--tokens", "data/tokens",
             "--protocols", "protocol.yaml", "--dev_distortion", "dev_mixture.yaml",
             "--systems", "teacher cdm1", "--check_only"]  # fmt: skip
    list_systems.main(given)
    trained_again = run.with_(task_args="--optim_conf lr=0.5")
    assert "refused" not in trained_again(redo=True)
    with pytest.raises(UserError, match="begin with --stage"):
        list_systems.main([*given, "--task_args=--optim_conf lr=0.5"])
    assert not capsys.readouterr().out


def test_a_pretrained_teacher_that_is_taken_over(recipe):
    recipe()
    Path("round.yaml").write_text("steps: 1\n")
    made = (["round.yaml"], ["data/train"], "exp/t")
    check_pretrained(*made, range(4, 9))
    check_pretrained(*made, range(1, 4))
    with pytest.raises(UserError, match=r"exp/t1: it is not there; begin with --stage 4$"):
        check_pretrained(*made, [5])
    output = pretrained(Path("round.yaml"), [Path("data/train")], Path("exp/t1"))
    output.begin()
    output.finish([])
    check_pretrained(*made, [5])
    Path("round.yaml").write_text("steps: 2\n")
    with pytest.raises(UserError, match=r"config steps: 1 -> 2; begin with --stage 4 --redo$"):
        check_pretrained(*made, [5])
