import csv
import json
import shutil

import pytest
import torch
import yaml

from espnet_robust.models.speech_model import load_teacher

SYSTEMS = "teacher distilhubert cdm2_dat logmel"
TINY = ("--budget", "tiny", "--systems", SYSTEMS)


@pytest.fixture(scope="module")
def recipe(checkout, run):
    """The mini recipe after all its stages, on a few utterances and a few steps."""
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    directory = checkout / "egs/mini/asr1"
    few = ["--train_utterances", "4", "--dev_utterances", "3", "--test_utterances", "1"]
    data = run(directory, *TINY, "--stop_stage", "1", f"--data_opts={' '.join(few)}")
    assert data.returncode == 0, data.stderr
    rest = run(directory, *TINY, "--stage", "2")
    assert rest.returncode == 0, rest.stderr[-3000:] + rest.stdout[-3000:]
    return directory


@pytest.mark.recipe
def test_table_has_every_system_and_condition(recipe):
    with (recipe / "exp/report/wer.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0])[:4] == ["system", "seed", "condition", "snr_db"]
    assert all(int(row["speech_model_params"]) < int(row["params"]) for row in rows)
    assert all((row["macs"] == "") == (row["system"] == "logmel") for row in rows)
    assert {row["device"] for row in rows} == {"cpu"}
    conditions = {row["condition"] for row in rows}
    assert len(conditions) == 16 and "clean" in conditions
    assert {(r["system"], r["condition"]) for r in rows} == {
        (system, condition) for system in SYSTEMS.split() for condition in conditions
    }
    noisy = {float(r["snr_db"]) for r in rows if r["condition"].startswith("noise_in_snr")}
    assert noisy == {0, 5, 10, 20}
    assert (recipe / "exp/report/wer.png").stat().st_size > 10_000
    assert (recipe / "exp/report/cost.svg").is_file()
    assert "cdm2_dat" in (recipe / "exp/report/wer.md").read_text()


@pytest.mark.recipe
def test_student_has_fewer_parameters_than_its_teacher(recipe):
    params = {
        system: json.loads((recipe / f"exp/tiny/{system}_seed0/scores.json").read_text())["params"]
        for system in ("teacher", "cdm2_dat", "distilhubert")
    }
    assert params["cdm2_dat"] == params["distilhubert"] < params["teacher"]


@pytest.mark.recipe
def test_a_second_run_makes_nothing_anew(recipe, run):
    made = [*recipe.glob("exp/tiny/*/*/*.pth"), *recipe.glob("exp/tiny/*/decode/decode.json")]
    before = {path: path.stat().st_mtime_ns for path in made}
    again = run(recipe, *TINY, "--stage", "3")
    assert again.returncode == 0, again.stderr
    assert before and before == {path: path.stat().st_mtime_ns for path in made}


@pytest.mark.recipe
def test_a_teacher_of_two_rounds_can_be_pretrained(recipe, run):
    model = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model |= {"intermediate_size": 16, "conv_dim": [8] * 7, "feat_extract_norm": "layer"}
    model |= {"num_conv_pos_embeddings": 15, "num_conv_pos_embedding_groups": 2}
    units = [{"from": "mfcc"}, {"from": "exp/teacher1", "layer": 1}]
    for n, source in enumerate(units, 1):
        config = {"model": model, "clusters": 4, "units": source, "steps": 2, "warmup": 1}
        (recipe / f"conf/few{n}.yaml").write_text(json.dumps(config | {"batch_seconds": 4.0}))
    result = run(
        recipe, *TINY, "--stage", "4", "--stop_stage", "4", "--pretrain_teacher", "true",
        "--pretrain_configs", "conf/few1.yaml conf/few2.yaml",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-3000:]
    for n in (1, 2):
        assert load_teacher(recipe / f"exp/teacher{n}", [2]).num_layers == 2
    assert "exp/teacher2" in result.stdout


@pytest.mark.recipe
def test_a_teacher_can_be_trained_on_to_hear_distortions(recipe, run):
    few = {"steps": 2, "warmup": 1, "batch_seconds": 4.0, "clusters": 4}
    config = yaml.safe_load((recipe / "conf/pretrain_robust.yaml").read_text())
    (recipe / "conf/few_robust.yaml").write_text(json.dumps(config | few))
    result = run(
        recipe, *TINY, "--stage", "4", "--stop_stage", "4", "--pretrain_teacher", "true",
        "--pretrain_configs", "conf/few_robust.yaml", "--pretrain_out", "exp/teacher_robust",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-3000:]
    assert load_teacher(recipe / "exp/teacher_robust1").num_layers == 6


@pytest.mark.recipe
def test_recognisers_hear_distortions_on_students_there_are(recipe, run):
    systems = "cdm2_dat logmel"
    result = run(
        recipe, *TINY, "--stage", "6", "--tag", "noisy", "--asr_distortion", "train",
        "--students", "exp/tiny", "--systems", systems,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-3000:]
    for system in systems.split():
        asr = f"exp/noisy/tiny/{system}_seed0/asr"
        heard = yaml.safe_load((recipe / asr / "config.yaml").read_text())
        assert heard["preprocessor"] == "distorting"
        assert (
            heard["preprocessor_conf"]["valid_distortion"]
            != heard["preprocessor_conf"]["distortion"]
        )
        weights = [
            torch.load(recipe / path / "valid.loss.best.pth", weights_only=True)
            for path in (asr, asr.replace("noisy/", ""))
        ]
        assert not all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert (recipe / "exp/noisy/report/wer.csv").is_file()


@pytest.mark.recipe
def test_another_configuration_is_not_mixed_in(recipe, run):
    budget = recipe.parents[2] / "conf/budget/tiny.yaml"
    original = budget.read_text()
    budget.write_text(original.replace("num_iters_per_epoch: 2", "num_iters_per_epoch: 3"))
    try:
        result = run(recipe, *TINY, "--stage", "5", "--stop_stage", "5")
    finally:
        budget.write_text(original)
    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: exp/")][:1]
    assert "was made of something else: config num_iters_per_epoch: 2 -> 3" in line
    assert "--redo deletes it and makes it again, --tag NAME keeps it" in line


@pytest.mark.recipe
@pytest.mark.parametrize(
    ("file", "find", "replace", "message"),
    [
        ("wav.scp", ".flac\n", ".gone\n", "gone"),
        ("wav.scp", None, "{id} data/test/text\n", "data/test/text"),
        ("text", None, "zzzz NO SUCH AUDIO\n", "zzzz"),
    ],
)
def test_broken_data_dirs_stop_the_recipe(recipe, run, file, find, replace, message):
    path = recipe / "data/test" / file
    original = path.read_text()
    lines = original.splitlines(keepends=True)
    if find:
        lines[0] = lines[0].replace(find, replace)
    elif "{id}" in replace:
        lines[0] = replace.format(id=lines[0].split()[0])
    else:
        lines.append(replace)
    path.write_text("".join(lines))
    try:
        result = run(recipe, *TINY, "--stage", "3", "--stop_stage", "3")
    finally:
        path.write_text(original)
    assert result.returncode == 1
    errors = [line for line in result.stderr.splitlines() if "error" in line]
    assert len(errors) == 1 and message in errors[0]


@pytest.mark.recipe
def test_other_decoding_decodes_anew(recipe, run):
    options = (*TINY, "--systems", "distilhubert", "--stage", "8", "--stop_stage", "8")
    done = recipe / "exp/tiny/distilhubert_seed0/decode/test/decode.json"
    times = [done.stat().st_mtime_ns]
    for decoding in ("--method beam --beam_size 3", "--method beam --beam_size 3", ""):
        result = run(recipe, *options, f"--decode_options={decoding}")
        assert result.returncode == 0, result.stderr
        times.append(done.stat().st_mtime_ns)
    assert times[0] < times[1] == times[2] < times[3]


@pytest.mark.recipe
def test_other_scoring_scores_anew(recipe, run):
    one = ("--budget", "tiny", "--systems", "distilhubert", "--stop_stage", "9")
    scores = recipe / "exp/tiny/distilhubert_seed0/scores.json"
    before = json.loads(scores.read_text())
    word = (recipe / "data/test/text").read_text().split()[1]
    (recipe / "conf/words.txt").write_text(f"{word}\n")
    asked = ("--score_options", "--symbols conf/words.txt --case lower")
    assert run(recipe, *one, *asked, "--stage", "9").returncode == 0
    scored = json.loads(scores.read_text())
    assert scored["normalisation"].keys() == {"symbols", "case"}
    fewer = scored["conditions"][0]["words"]
    assert fewer < before["conditions"][0]["words"]
    refused = run(recipe, *TINY, "--systems", "distilhubert", "--stage", "10")
    assert refused.returncode == 1 and "begin with --stage 9" in refused.stderr
    again = run(recipe, *one, "--stage", "9")
    assert again.returncode == 0
    same = ("conditions", "normalisation")  # a test before may have decoded anew: another speed
    after = json.loads(scores.read_text())
    assert [after[key] for key in same] == [before[key] for key in same]


@pytest.mark.recipe
def test_the_advice_mends_what_is_stale(recipe, run):
    one = ("--budget", "tiny", "--systems", "logmel")
    before = json.loads((recipe / "exp/tiny/logmel_seed0/made_of.json").read_text())
    (recipe / "conf/asr.yaml").write_text("optim_conf: {lr: 0.1}\n")
    try:
        refused = run(recipe, *one, "--stage", "8")
        (line,) = refused.stderr.splitlines()[-1:]
        assert refused.returncode == 1 and line.endswith("begin with --stage 7 --redo")
        assert "logmel_seed0/asr: was made of something else: config optim_conf.lr: " in line
        for options in (("--stage", "7", "--redo"), ("--stage", "8")):
            done = run(recipe, *one, *options)
            assert done.returncode == 0, done.stderr
    finally:
        (recipe / "conf/asr.yaml").unlink()
    after = json.loads((recipe / "exp/tiny/logmel_seed0/made_of.json").read_text())
    assert before["made_of"]["decode.json"] != after["made_of"]["decode.json"]
    # What was not asked for is in the table too, as far as it follows from what there is now: the
    # other recognisers would have trained with that rate as well.
    assert "teacher is left out of the table: " in done.stderr
    table = (recipe / "exp/report/wer.md").read_text()
    assert "./run.sh --" in table and "TEMPLATE" not in table  # the driver takes fewer options
    assert "| logmel |" in table and "| teacher |" not in table
    again = run(recipe, *TINY, "--stage", "7", "--redo")
    assert again.returncode == 0, again.stderr
    assert "| teacher |" in (recipe / "exp/report/wer.md").read_text()


def test_what_was_trained_is_packed(recipe, run):
    options = ("--systems", "cdm2_dat logmel", "--upload_hf", "me/mini")
    result = run(recipe, *TINY, *options, "--stage", "11", "--stop_stage", "11")
    assert result.returncode == 0, result.stderr
    student, none = (recipe / f"exp/tiny/{s}_seed0/packed" for s in ("cdm2_dat", "logmel"))
    assert sorted(p.name for p in student.iterdir()) == [
        "asr",
        "asr.zip",
        "made_of.json",
        "student",
    ]
    assert sorted(p.name for p in none.iterdir()) == ["asr", "asr.zip", "made_of.json"]
    card = (student / "asr/README.md").read_text()
    assert "me/mini-cdm2_dat_seed0-asr" in card and "--budget tiny" in card
    assert "egs/mini/asr1/teacher | Apache 2.0" in card and card.count("noise_in_snr") == 4
    assert "log-mel features" in (none / "asr/README.md").read_text()
