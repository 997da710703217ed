"""What a user can get wrong on the command line, in a YAML and in files: one clear line each."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import yaml

from espnet_robust.bin import distill_train
from espnet_robust.common.errors import (
    AudioError,
    ConfigError,
    DataDirError,
    ModelError,
    TrainingError,
    UserError,
)


@pytest.fixture
def refused(train, tmp_path):
    """refused(error, message, option=value, ...): the command refuses, in one line, with nothing
    half-trained left."""

    def refused(error: type[UserError], message: str, **options) -> None:
        with pytest.raises(error, match=message) as caught:
            train(tmp_path / "x", **options)
        assert len(str(caught.value).splitlines()) == 1
        assert not list(tmp_path.glob("x/*.pth"))

    return refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": None}, "--teacher: name"),
        ({"distortion": None}, "needs --distortion"),
        ({"distortion": None, "mapping": "none", "valid_mapping": "same"}, "--valid_distortion"),
        ({"student_conf": {"layers": 2}}, "student_conf: unknown key 'layers'"),
        ({"student_conf": {"num_layers": 0}}, "num_layers: need at least 1"),
        (
            {"student_conf": {"init": "random", "overrides": {"hiden_size": 8}}},
            "no 'hiden_size', did you mean 'hidden_size'",
        ),
        ({"dat_conf": {"wait": 2}}, "dat_conf: unknown key 'wait'"),
        ({"dat_conf": {"method": "reversal"}}, "give it with --dat"),
        ({"dat_conf": {"layers": [3]}}, "layers: 3 is not in 0..2"),
        ({"loss_conf": {"l3": 1.0}}, "unknown loss l3"),
        ({"loss_conf": {"denoise": 1.0}}, "need at least one of l1"),
        ({"mapping": "none"}, "only one domain"),
        ({"mapping": "setup3"}, "mapping: 'setup3' is not one of none, setup1"),
        ({"max_cache_size": 1.0}, "would repeat the same distortion"),
        ({"iterator_type": "chunk"}, "use sequence"),
        ({"targets": [2]}, "unknown key 'targets', did you mean 'target_layers'"),
        ({"optim_conf": {"lrr": 1}}, "optim_conf: unknown key 'lrr'"),
        ({"optim_conf": {"lr": "1e-3"}}, "lr: '1e-3' is text in YAML; write 0.001"),
        ({"scheduler": "onecyclelr", "scheduler_conf": {"max_lrr": 1}}, "did you mean 'max_lr'"),
        ({"ema": 1.0}, "ema: 1.0"),
        ({"crop_seconds": 0.01}, "crop_seconds: 0.01: 160 samples, less than one frame"),
        ({"use_amp": True}, "use_amp: write `amp: bf16`"),
        ({"amp": "fp16"}, "fp16 needs a GPU"),
        (
            {"ngpu": 2},
            "ngpu 2: a process trains on one GPU; start as many as there are GPUs: espnet",
        ),
        ({"student_mask_prob": 1.5}, "student_mask_prob: 1.5"),
        ({"target_norm": "batch"}, "target_norm: 'batch' is not one of"),
        ({"target_norm": "statistics", "statistics_batches": 0}, "need at least 1"),
        ({"target_cache": "c"}, "with mapping setup2 the teacher.s input changes"),
        ({"target_cache": "c", "mapping": "setup1"}, "random crops change in each epoch"),
        (
            {
                "target_cache": "c",
                "mapping": "setup1",
                "fixed_crops": True,
                "target_norm": "statistics",
            },
            "not with target_norm statistics",
        ),
        (
            {"best_model_criterion": [["valid", "distil", "min"]]},
            "need a list of .train or valid, one of cosine, distill",
        ),
        ({"best_model_criterion": [["valid", "domain_acc", "up"]]}, "best_model_criterion"),
        (
            {"distortion": {"chain": ["clean", {"name": "speed", "length": "map", "prob": 0.1}]}},
            "speed changes the length of utterances",
        ),
        (
            {"dat": "none", "valid_distortion": {"chain": [{"name": "speed", "length": "map"}]}},
            "speed changes the length",
        ),
        ({"accum_grad": 0}, "accum_grad: need at least 1"),
        ({"accum_grad": 4}, "accum_grad: 4 batches make an update, and an epoch has only 3"),
    ],
)
def test_options(refused, options, message):
    refused(ConfigError, message, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": "./none"}, "no such directory"),
        ({"target_layers": [5]}, "target layer 5 does not exist"),
        ({"student_conf": {"num_layers": 5}}, "5 layers cannot be initialised"),
        # Nothing above the highest target layer is kept.
        ({"target_layers": [2], "student_conf": {"num_layers": 3}}, "raise target_layers"),
    ],
)
def test_depths(refused, options, message):
    refused(ModelError, message, **options)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "config.json").unlink(), "no config.json"),
        (lambda d: (d / "model.safetensors").unlink(), "no weights"),
        (lambda d: (d / "model.safetensors").write_bytes(b"\0" * 99), "cannot be loaded"),
        (lambda d: (d / "config.json").write_text("{"), "cannot be loaded"),
        (lambda d: _edit(d / "config.json", num_hidden_layers=6), "weights missing"),
        (lambda d: _edit(d / "config.json", hidden_size=32), "cannot be loaded"),
        (
            lambda d: _edit(d / "config.json", model_type="bert"),
            "model type 'bert' is not a supported speech encoder",
        ),
    ],
)
def test_teacher_directories(refused, teacher_dirs, tmp_path, spoil, message):
    teacher = tmp_path / "teacher"
    shutil.copytree(teacher_dirs["hubert_layer_norm"], teacher)
    spoil(teacher)
    refused(ModelError, message, teacher=str(teacher))


def _edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_nested_keys_of_the_distortion(train, tmp_path):
    chain = tmp_path / "chain.yaml"
    chain.write_text(yaml.safe_dump({"chain": [{"name": "white", "snr": 5}]}))
    message = r"chain\[0\] \(white\): unknown key 'snr', did you mean 'snr_db'"
    with pytest.raises(ConfigError, match=message):  # all mistakes of a chain at once, in a list
        train(tmp_path / "x", distortion=str(chain))


def test_utterance_shorter_than_a_frame(refused, make_data):
    speech = make_data([6400, 399, 6400])
    refused(AudioError, "u01: 399 samples, less than one frame", data=speech)


@pytest.mark.parametrize("options", [{}, {"target_norm": "statistics"}])
def test_utterance_shorter_than_its_table_says(refused, make_data, options):
    speech = make_data([6400] * 3)
    soundfile.write(speech.parent / "u01.wav", np.zeros(200), 16000)
    message = "^u01: 200 samples, less than one frame"
    refused(AudioError, message, data=speech, num_workers=1, **options)


def test_not_a_number_in_the_audio(refused, make_data):
    speech = make_data([6400] * 3)
    wav = np.zeros(6400)
    wav[5] = np.nan
    soundfile.write(speech.parent / "u01.wav", wav, 16000, subtype="FLOAT")
    refused(AudioError, "utterance u01: .*NaN or infinite samples", data=speech)


@pytest.mark.parametrize(
    ("table", "content", "error", "message"),
    [
        ("wav.scp", "", DataDirError, "wav.scp: no utterances|empty"),
        ("utt2num_samples", "", DataDirError, "utt2num_samples: no utterances|empty"),
        ("utt2num_samples", "u07 6400\n", DataDirError, "'u07' is not in .*wav.scp"),
        ("utt2num_samples", "u00 many\n", DataDirError, "u00: 'many' is not a number"),
        ("utt2num_samples", None, DataDirError, "utt2num_samples"),
        ("wav.scp", "u00 /nowhere.wav\nu01 /nowhere.wav\n", AudioError, "nowhere.wav"),
    ],
)
def test_tables(refused, make_data, table, content, error, message):
    speech = make_data([6400] * 2)
    if content is None:
        (speech / table).unlink()
    else:
        (speech / table).write_text(content)
        if "nowhere" in content:
            (speech / "utt2num_samples").write_text("u00 6400\nu01 6400\n")
    refused(error, message, data=speech)


def test_empty_file(refused, make_data):
    speech = make_data([6400] * 2)
    (speech.parent / "u01.wav").write_bytes(b"")
    refused(AudioError, "utterance u01: .*empty file", data=speech)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"student_conf": {"num_layers": 1}}, "student.encoder.encoder.layers.1.* is .* in it and"),
        ({"target_layers": [2]}, "heads.4.* is .* in it and absent in the model"),
        ({"dat": "none"}, "adversary.* in it and absent"),
        ({"dat": "pairs"}, "adversary.classifier.* in it and absent"),
        ({"ema": 0.9}, "ema_heads.2.bias is absent in it"),
    ],
)
def test_checkpoint_of_another_shape(straight, train, tmp_path, options, message):
    out = tmp_path / "x"
    shutil.copytree(straight, out, symlinks=True)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir() if path.suffix == ".pth"}
    with pytest.raises(ModelError, match=message) as caught:
        train(out, max_epoch=4, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert before == {
        path.name: path.stat().st_mtime_ns for path in out.iterdir() if path.suffix == ".pth"
    }


def test_checkpoint_that_is_half_a_file(straight, train, tmp_path):
    out = tmp_path / "x"
    shutil.copytree(straight, out, symlinks=True)
    whole = (out / "checkpoint.pth").read_bytes()
    (out / "checkpoint.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="checkpoint.pth: training cannot resume.*not a complete"):
        train(out, max_epoch=4)


def test_loss_that_is_not_finite_names_the_batch(train, tmp_path):
    message = r"the loss is (nan|inf).*l1 .* for the batch of utter.* u\d\d, u\d\d, u\d\d, u\d\d;"
    with pytest.raises(TrainingError, match=message):
        train(tmp_path / "x", optim="sgd", optim_conf={"lr": 1e30}, dat="none", grad_clip=1e30)


def test_no_output_directory():
    with pytest.raises(ConfigError, match="--output_dir"):
        distill_train.main([])


def test_unknown_option_of_the_command_line(command, tmp_path):
    with pytest.raises(ConfigError, match="unknown key 'max_epochs', did you mean 'max_epoch'"):
        distill_train.main([*command(tmp_path / "x"), "--max_epochs", "3"])
