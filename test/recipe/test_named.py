"""Files that ESPnet's options name: a training is stale when their content changes."""

import json
from pathlib import Path

import pytest

from espnet_robust.common.errors import ConfigError, DataDirError, UserError
from espnet_robust.common.experiment import derive
from espnet_robust.common.files import read_json
from espnet_robust.common.made_of import difference
from espnet_robust.recipe.named import named_files
from espnet_robust.recipe.outputs import Outputs
from espnet_robust.recipe.skipped import check_skipped

LISTED = "--init_param [source.pth:encoder:encoder,second.pth]"


@pytest.fixture
def files(recipe):
    """The files that the options below name, in the directory of the recipe; gives a run of it."""
    for name in ("source.pth", "second.pth", "symbols.txt", "stats.npz", "list.txt", "n.wav"):
        Path(name).write_text("first")
    Path("list.txt").write_text("n.wav\n")
    Path("hf").mkdir()
    Path("hf/config.json").write_text("first")
    return recipe()


@pytest.mark.parametrize(
    ("options", "changed", "message"),
    [
        ("--init_param source.pth", "source.pth", "init_param source.pth"),
        ("--init_param source.pth:::frontend", "source.pth", "init_param source.pth"),
        (LISTED, "source.pth", "init_param source.pth"),
        (LISTED, "second.pth", "init_param second.pth"),
        ("--non_linguistic_symbols symbols.txt", "symbols.txt",
         "non_linguistic_symbols symbols.txt"),
        ("--normalize global_mvn --normalize_conf stats_file=stats.npz", "stats.npz",
         "normalize_conf.stats_file stats.npz"),
        ("--noise_scp list.txt", "list.txt", "noise_scp list.txt"),
        ("--rir_scp list.txt", "n.wav", "rir_scp list.txt"),
        ("--encoder_conf '{model_name_or_path: ./hf}'", "hf/config.json",
         "encoder_conf.model_name_or_path ./hf config.json"),
        ("--valid_shape_file [source.pth]", "source.pth", "valid_shape_file source.pth"),
    ],
)  # fmt: skip
def test_another_content_under_the_same_path(files, options, changed, message):
    run = files.with_(task_args=options)
    before = Outputs(run.plan).trained("cdm1", "0").made_of
    assert Outputs(run.plan).trained("cdm1", "0").made_of == before
    Path(changed).write_text("list.txt\n")  # a file, where it lists files
    after = Outputs(run.plan).trained("cdm1", "0").made_of
    assert difference(before, after) == [f"{message} changed"]


def test_a_source_that_was_trained_again(files):
    """The recogniser and the distillation on it are refused, and so are the scores."""
    run = files.with_(task_args="--init_param source.pth", distill_args="--init_param second.pth")
    assert "refused" not in run()
    assert set(run().values()) == {"kept"}
    Path("source.pth").write_text("again")
    assert "asr: was made of something else: init_param source.pth changed" in run()["refused"]
    with pytest.raises(UserError, match="init_param source.pth changed; begin with --stage 7"):
        check_skipped(run.plan, [8], ["cdm1"], ["0"])
    assert run(redo=True)["cdm1 asr"] == "made"
    Path("second.pth").write_text("again")
    assert "distill: was made of something else: init_param second.pth" in run()["refused"]
    assert run(redo=True)["cdm1 distill"] == "made"


def test_nothing_named_adds_nothing(files):
    """Finished trainings stay current, whatever lies in the directory."""
    Path("linear").write_text("")
    config = {
        "encoder": "linear",
        "encoder_conf": {"input_layer": "linear", "rate": "0.5", "dropout": 0.1, "what": None},
        "frontend_conf": {"student": {"path": "hf", "hf": None}, "upstream": "facebook/hubert"},
        "preprocessor_conf": {"distortion": "symbols.txt"},
        "init_param": [],
        "noise_scp": None,
        "rir_scp": "none",
        "non_linguistic_symbols": ["a.b", "c/d"],
        "train_shape_file": ["data/train/utt2num_samples"],
        "train_data_path_and_name_and_type": [
            ["data/train/wav.scp", "speech", "sound"],
            ["elsewhere/text", "text", "text"],
        ],
    }
    assert named_files(config, ["data/train", "hf"]) == {}
    assert "refused" not in files()
    for task in ("distill", "asr"):
        made_of = read_json(f"exp/tiny/cdm1_seed0/{task}/made_of.json")["made_of"]
        for option in ("init_param", "_conf", "_scp", "_shape_file", "_and_type"):
            assert not [key for key in made_of if option in key]


def test_a_file_that_is_missing(files):
    for options, message in [
        ("--init_param none.pth:a:b", "init_param: none.pth: no such file"),
        ("--noise_scp none", "noise_scp: none: no such file"),
        ("--non_linguistic_symbols x", "non_linguistic_symbols: x: no such file"),
        ("--normalize_conf stats_file=x", "normalize_conf.stats_file: x: no such file"),
    ]:
        run = files.with_(task_args=options)
        if options == "--noise_scp none":  # how ESPnet's options say that there is none
            Outputs(run.plan).trained("teacher", "0")
            continue
        with pytest.raises(ConfigError) as e:
            Outputs(run.plan).trained("teacher", "0")
        assert str(e.value) == message
    with pytest.raises(ConfigError, match=r"^init_param: none.pth: no such file$"):
        Outputs(files.with_(distill_args="--init_param none.pth").plan).distilled("cdm1", "0")
    Path("list.txt").write_bytes(b"\xff")
    with pytest.raises(DataDirError, match=r"list.txt: cannot be read"):
        Outputs(files.with_(task_args="--noise_scp list.txt").plan).trained("teacher", "0")


def test_listed_audio_is_read_once_and_known_by_its_content(files, monkeypatch):
    Path("list.txt").write_text("first n.wav\nsecond second.pth\n\n")
    first = named_files({"noise_scp": "list.txt"})
    Path("list.txt").write_text("n.wav\nother second.pth\n")  # the ids decide nothing
    with monkeypatch.context() as patch:
        patch.setattr("espnet_robust.data.digests._content", lambda file: pytest.fail(file))
        assert named_files({"noise_scp": ["list.txt"]}) == first
    Path("list.txt").write_text("n.wav\nsymbols.txt\nsymbols.txt\n")
    assert named_files({"noise_scp": "list.txt"}) != first


def test_one_word_is_a_list_of_one(files):
    """ESPnet would take a text in a YAML letter by letter, and freeze nothing without a word."""
    plan = files.with_(task_args="--init_param source.pth:a:b --freeze_param encoder").plan
    config = plan.config("asr", "cdm1", "0")
    assert config["init_param"] == ["source.pth:a:b"] and config["freeze_param"] == ["encoder"]
    assert json.dumps(derive({"freeze_param": ["a", "b"]}, "")) == '{"freeze_param": ["a", "b"]}'
