"""The recipes for emotions on noise in the layouts of their corpora: folds and their mean."""

import statistics

import pytest

from espnet_robust.common.config import read_yaml
from espnet_robust.data.data_dir import read_data_dir

LABELS = ("neu", "ang", "sad", "exc", "fru")


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory, write_tree):
    files: dict[str, str | float] = {}
    for n in range(1, 6):
        for scene in range(1, 9):
            dialogue = f"Ses0{n}F_impro{scene:02d}"
            utts = [f"{dialogue}_{'FM'[i % 2]}{i:03d}" for i in range(len(LABELS))]
            evaluation = f"Session{n}/dialog/EmoEvaluation/{dialogue}.txt"
            files[evaluation] = "".join(
                f"[6.2901 - 8.2357]\t{utt}\t{label}\t[2.5000, 2.5000, 2.5000]\n"
                for utt, label in zip(utts, LABELS, strict=True)
            )
            files[f"Session{n}/dialog/transcriptions/{dialogue}.txt"] = "".join(
                f"{utt} [006.2901-008.2357]: Excuse me.\n" for utt in utts
            )
            files |= {f"Session{n}/sentences/wav/{dialogue}/{utt}.wav": 0.5 for utt in utts}
    return write_tree(tmp_path_factory.mktemp("iemocap"), files)


@pytest.mark.recipe
def test_babble_is_of_the_folds_own_speech(checkout, run, iemocap, noises, mini_teacher):
    recipe = checkout / "egs/iemocap/er1"
    for stages in (("--stop_stage", "2"), ("--stage", "5", "--stop_stage", "5")):
        done = run(
            recipe, "--iemocap", str(iemocap), "--folds", "2", "--systems", "cdm2_dat",
            "--budget", "tiny", *stages, *mini_teacher, *noises,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    speakers = set(read_data_dir(recipe / "data/fold2_test").tables["utt2spk"].values())
    assert speakers == {"Ses02F", "Ses02M"}
    distil = recipe / "exp/fold2/tiny/cdm2_dat_seed0/distill"
    config = read_yaml(distil / "config.yaml")
    for key, speech in (("distortion", "fold2_train"), ("valid_distortion", "fold2_dev")):
        babble = next(k for k in config[key]["chain"][0]["one_of"] if k["name"] == "babble")
        assert babble["speech"] == f"data/{speech}"


EMODB = {
    f"wav/{speaker}a01{emotion}{version}.wav": 0.5
    for speaker in ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
    for emotion in "NTWFL"
    for version in "ab"
}


@pytest.mark.recipe
def test_the_mean_of_folds_without_words(checkout, tiny, noises, rows, write_tree, tmp_path):
    recipe = checkout / "egs/emodb/er1"
    corpus = write_tree(tmp_path, EMODB)
    folds = ("--folds", "1 2", "--expdir", "my exp")  # with a blank in it
    tiny(recipe, "--emodb", str(corpus), *folds, "--systems", "teacher", *noises)
    tables = {
        name: {row["condition"]: row for row in rows(recipe / f"my exp/{name}", "accuracy")}
        for name in ("fold1/report", "fold2/report", "report")
    }
    assert tables["report"].keys() == {"clean", "clip", "noise_in"}
    for condition, mean in tables["report"].items():
        folds = [tables[f"fold{n}/report"][condition] for n in (1, 2)]
        accuracy = statistics.fmean(float(row["accuracy"]) for row in folds)
        assert float(mean["accuracy"]) == pytest.approx(accuracy, abs=0.01)
        assert {row["utterances"] for row in folds} == {"16"}
    test = read_data_dir(recipe / "data/fold2_test").tables
    assert set(test["utt2spk"].values()) == {"10", "09"} and "text" not in test


@pytest.fixture(scope="module")
def nemo(tmp_path_factory, write_tree):
    names = [
        f"{actor}_{emotion}_{n}"
        for actor in ("EB0", "KS0", "SM0", "MP0", "MK0")
        for emotion in ("anger", "fear")
        for n in range(1, 6)
    ]
    columns = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
    lines = [
        f"{name}.wav\t{name.split('_')[1]}\tŻona śpi.\tżona śpi\t        {name[:3]}\tmale\t23\n"
        for name in names
    ]
    files: dict[str, str | float] = {"data.tsv": columns + "".join(lines)}
    files |= {f"samples/{name}.wav": 0.6 for name in names}
    return write_tree(tmp_path_factory.mktemp("nemo"), files)


@pytest.mark.recipe
@pytest.mark.parametrize(
    ("name", "metric"), [("egs/nemo/asr1", "wer"), ("egs/nemo/er1", "accuracy")]
)
def test_nemo_has_a_report_for_sentences_not_in_training(
    checkout, tiny, noises, rows, nemo, name, metric
):
    recipe = checkout / name
    tiny(recipe, "--nemo", str(nemo), "--systems", "teacher", *noises)
    for report, utterances in (("exp/report", "16"), ("exp/report/test_unseen", "4")):
        table = rows(recipe / report, metric)
        assert {row["condition"] for row in table} == {"clean", "clip", "noise_in"}
        assert {row["utterances"] for row in table} == {utterances}
