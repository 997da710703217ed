"""fsdd/asr1 on a few strings of real digits."""

import pytest

from espnet_robust.data.data_dir import read_data_dir

SYSTEMS = ("cdm2_dat",)


@pytest.fixture(scope="module")
def recipe(checkout, tiny, librispeech, shared_data):
    directory = checkout / "egs/fsdd/asr1"
    tiny(
        directory, "--fsdd", str(shared_data / "free-spoken-digit-dataset"),
        "--noise", str(shared_data / "noise"), "--rir", str(shared_data / "rir"),
        "--librispeech", str(librispeech), "--systems", " ".join(SYSTEMS),
        "--data_opts=--train_strings 8 --dev_strings 1 --test_strings 2",
    )  # fmt: skip
    return directory


@pytest.mark.recipe
def test_systems_and_speakers_held_out(recipe, rows):
    table = rows(recipe / "exp/report", "wer")
    assert [(row["system"], row["condition"]) for row in table] == [
        (system, condition) for system in SYSTEMS for condition in ("clean", "clip", "noise_in")
    ]
    words = sum(len(t.split()) for t in read_data_dir(recipe / "data/test").tables["text"].values())
    assert {row["words"] for row in table} == {str(words)}
    speakers = {
        part: set(read_data_dir(recipe / f"data/{part}").tables["utt2spk"].values())
        for part in ("distill_train", "distill_dev", "test")
    }
    assert speakers["test"] == {"theo", "yweweler"}
    assert speakers["distill_train"] > {"george", "jackson", "lucas", "nicolas"}
    assert not speakers["test"] & (speakers["distill_train"] | speakers["distill_dev"])


@pytest.mark.recipe
def test_distils_on_librispeech_too(recipe):
    config = (recipe / "exp/tiny/cdm2_dat_seed0/distill/config.yaml").read_text()
    assert "data/distill_train/wav.scp" in config
    recogniser = (recipe / "exp/tiny/cdm2_dat_seed0/asr/config.yaml").read_text()
    assert "dropout: 0.5" in recogniser  # conf/asr.yaml
    assert len(read_data_dir(recipe / "data/distill_train").ids) == 4 * 8 + 9


@pytest.mark.recipe
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "esc10 needs --noise DIR"),
        (
            ("--noise_source", "rain"),
            "noise_source 'rain'; known: esc10, own, paper,",
        ),
        (("--noise_source", "synthetic"), "name the directory of the corpus with --fsdd DIR"),
        (("--noise_source", "synthetic", "--fsdd", "conf"), "conf is not the Free Spoken Digit"),
    ],
)
def test_refuses(checkout, run, options, message):
    done = run(checkout / "egs/fsdd/asr1", "--stop_stage", "1", *options)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 1 and message in errors[0]


@pytest.mark.recipe
def test_what_was_downloaded_is_taken_from_there(checkout, run, shared_data, tmp_path):
    (tmp_path / "free-spoken-digit-dataset").symlink_to(shared_data / "free-spoken-digit-dataset")
    recipe = checkout / "egs/fsdd/asr1_downloaded"
    recipe.mkdir()
    for name in ("run.sh", "local"):
        (recipe / name).symlink_to(checkout / "egs/fsdd/asr1" / name)
    few = "--data_opts=--train_strings 1 --dev_strings 1 --test_strings 1"
    options = ("--download", "true", "--fsdd", str(tmp_path), "--noise_source", "synthetic", few)
    done = run(recipe, *options, "--stop_stage", "1")
    assert done.returncode == 0, done.stderr
    assert len(read_data_dir(recipe / "data/distill_train").ids) == 4
