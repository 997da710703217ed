import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_robust.bin import pretrain_teacher
from espnet_robust.common.config import read_config
from espnet_robust.common.errors import ConfigError, DataDirError, TrainingError, UserError
from espnet_robust.common.files import read_json
from espnet_robust.data.audio import read_audio, write_audio
from espnet_robust.data.data_dir import read_data_dir, write_data_dir
from espnet_robust.models.speech_model import load_teacher, write_preprocessor_config
from espnet_robust.pretrain.batches import Batches
from espnet_robust.pretrain.config import PretrainConfig, Record
from espnet_robust.pretrain.hubert import MaskedPrediction, pretrain

CONFIG = {
    "model": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "conv_dim": [8] * 7,
        "feat_extract_norm": "layer",
        "num_conv_pos_embeddings": 15,
        "num_conv_pos_embedding_groups": 2,
    },
    "clusters": 4,
    "steps": 6,
    "batch_seconds": 2.0,
    "max_seconds": 0.6,
    "warmup": 2,
    "log_every": 2,
    "save_every": 2,
}

NOISE = {"chain": [{"name": "white", "snr_db": [0, 5]}]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    wav = {}
    for i in range(10):
        wav[f"u{i}"] = str(root / f"u{i}.wav")
        soundfile.write(wav[f"u{i}"], rng.standard_normal(8000 + 500 * i) * 0.1, 16000)
    write_data_dir(root / "train", {"wav.scp": wav})
    return root / "train"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "pretrain.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def test_makes_a_teacher_and_its_log(data, config, tmp_path):
    pretrain(config, [data], tmp_path / "teacher")
    teacher = load_teacher(tmp_path / "teacher", [1, 2])
    assert (teacher.num_layers, teacher.normalize, teacher.rate) == (2, True, 16000)
    with (tmp_path / "teacher.work/curve.csv").open() as f:
        assert [int(row["step"]) for row in csv.DictReader(f)] == [2, 4, 6]


def test_second_round_takes_its_units_from_a_layer_of_the_first(data, config, tmp_path):
    pretrain(config, [data], tmp_path / "one")
    second = CONFIG | {"units": {"from": str(tmp_path / "one"), "layer": 1}}
    config.write_text(yaml.safe_dump(second))
    pretrain(config, [data], tmp_path / "two")
    units = [np.load(tmp_path / f"{name}.work/units.npz")["units"] for name in ("one", "two")]
    assert units[0].shape == units[1].shape and not np.array_equal(*units)


def _interrupt_and_resume(data, config, tmp_path, monkeypatch, at):
    """Train straight, and once killed at batch ``at`` and resumed: the same weights."""
    pretrain(config, [data], tmp_path / "straight")
    collate, calls = Batches.collate, []

    def killed(*args):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return collate(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Batches, "collate", killed)
        pretrain(config, [data], tmp_path / "resumed")
    assert not (tmp_path / "resumed").exists()
    pretrain(config, [data], tmp_path / "resumed")
    a, b = (load_teacher(tmp_path / n).state_dict() for n in ("straight", "resumed"))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_resumed_equals_uninterrupted(data, config, tmp_path, monkeypatch):
    _interrupt_and_resume(data, config, tmp_path, monkeypatch, 6)


@pytest.mark.parametrize("at", [2, 6])  # before the first checkpoint, of step 3, and after it
def test_the_curve_has_each_step_once(data, config, tmp_path, monkeypatch, at):
    config.write_text(yaml.safe_dump(CONFIG | {"log_every": 1, "save_every": 3}))
    _interrupt_and_resume(data, config, tmp_path, monkeypatch, at)
    with (tmp_path / "resumed.work/curve.csv").open() as f:
        assert [int(row["step"]) for row in csv.DictReader(f)] == [1, 2, 3, 4, 5, 6]


def test_another_configuration_does_not_resume(data, config, tmp_path):
    pretrain(config, [data], tmp_path / "t")
    (tmp_path / "t/model.safetensors").unlink()
    config.write_text(yaml.safe_dump(CONFIG | {"lr": 0.1}))
    with pytest.raises(ConfigError, match="checkpoint.pth: made with another"):
        pretrain(config, [data], tmp_path / "t")


def test_a_wrong_configuration_is_refused_before_anything_is_written(data, config, tmp_path):
    config.write_text(yaml.safe_dump(CONFIG | {"steps": 0}))
    with pytest.raises(ConfigError, match="steps: must be a whole number of at least 1"):
        pretrain_teacher.main(["--config", str(config), "--out", str(tmp_path / "t"), str(data)])
    assert not (tmp_path / "t.work").exists()


def test_what_is_done_is_kept_and_what_is_stale_refused(data, config, tmp_path, capsys):
    out = tmp_path / "t"
    command = ["--config", str(config), "--out", str(out), str(data)]
    pretrain_teacher.main(command)
    made = (out / "model.safetensors").stat().st_mtime_ns
    pretrain_teacher.main(command)
    assert (out / "model.safetensors").stat().st_mtime_ns == made
    assert "t: already done" in capsys.readouterr().out
    (out / "made_of.json").unlink()  # killed just before it was written
    pretrain_teacher.main(command)
    config.write_text(yaml.safe_dump(CONFIG | {"lr": 0.1}))
    with pytest.raises(UserError, match="was made of something else: config lr is new; --redo"):
        pretrain_teacher.main(command)
    pretrain_teacher.main([*command, "--redo"])
    assert read_json(out / "pretraining.json")["pretrain_config"]["lr"] == 0.1
    file = next(iter(read_data_dir(data).wav.values()))
    content = Path(file).read_bytes()
    try:
        write_audio(file, -read_audio(file))
        with pytest.raises(UserError, match="something else: .* audio changed; --redo"):
            pretrain_teacher.main(command)
    finally:
        Path(file).write_bytes(content)


def test_a_diverged_run_ends_and_leaves_no_teacher(data, config, tmp_path):
    config.write_text(yaml.safe_dump(CONFIG | {"lr": 1e30}))
    for step in (2, 2):  # and again, when it is resumed
        with pytest.raises(TrainingError, match=f"step {step}: loss .*t.work and .*a lower lr"):
            pretrain(config, [data], tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_no_unmasked_frame_is_no_loss():
    model = MaskedPrediction(PretrainConfig(clusters=4, steps=1, model=CONFIG["model"]))
    wav, lengths, units = torch.randn(1, 4000), torch.tensor([4000]), torch.ones(1, 12).long()
    losses = []
    for model.unmasked_weight in (0.0, 0.5):
        torch.manual_seed(0)
        losses.append(model(wav, lengths, units, torch.ones(1, 12).bool())[0])
    assert losses[0].isfinite() and torch.equal(*losses)


def test_models_of_other_frames_or_rates_are_refused(data, config, tmp_path):
    shorter = CONFIG["model"] | {"conv_stride": [5, 2, 2, 2, 2, 2, 1]}
    config.write_text(yaml.safe_dump(CONFIG | {"model": shorter}))
    pretrain(config, [data], tmp_path / "one")
    units = {"from": str(tmp_path / "one"), "layer": 1}
    config.write_text(yaml.safe_dump(CONFIG | {"units": units}))
    with pytest.raises(ConfigError, match=r"one: its frames, .* = \(160, .*, \(320, 400, 16000\)"):
        pretrain(config, [data], tmp_path / "two")
    write_preprocessor_config(tmp_path / "one", True, 8000)
    init = {"model": None, "init": str(tmp_path / "one")}
    config.write_text(yaml.safe_dump(CONFIG | init))
    with pytest.raises(ConfigError, match="init: .*one takes 8000 Hz; need 16000 Hz"):
        pretrain(config, [data], tmp_path / "three")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "fp8"}, "not fp32 or bf16"),
        ({"units": {"from": "dir"}}, "needs `layer`"),
        ({"step": 3}, "did you mean 'steps'"),
        ({"init": "dir"}, "either `model`, for a new model, or `init`"),
        ({"model": None}, "either `model`, for a new model, or `init`"),
        ({"model": None, "init": "./none"}, "teacher ./none: no such directory"),
        (
            {"model": CONFIG["model"] | {"num_hiden_layers": 3}},
            "pretrain.yaml: model: HubertConfig has no 'num_hiden_layers', did you mean "
            "'num_hidden_layers'",
        ),
        (
            {"model": CONFIG["model"] | {"hidden_size": "many"}},
            "pretrain.yaml: model: transformers cannot build it: .*'hidden_size' expected int",
        ),
        (
            {"model": CONFIG["model"] | {"num_conv_pos_embedding_groups": 5}},
            "transformers cannot build it: ValueError: in_channels must be divisible by groups",
        ),
        (
            {"model": CONFIG["model"] | {"feat_extract_activation": "rello"}},
            "transformers cannot build it: KeyError: 'rello'",
        ),
        (
            {"model": CONFIG["model"] | {"num_hidden_layers": 0}},
            "model: num_hidden_layers: must be 1 or more, got 0",
        ),
        ({"max_seconds": 0.001}, "pretrain.yaml: max_seconds: must be a frame, 0.025 s, or more"),
        ({"distortion": "none.yaml"}, "none.yaml: cannot be read"),
        ({"distortion": {"chain": [{"name": "wite"}]}}, "did you mean 'white'"),
        (
            {"distortion": {"chain": [{"name": "speed", "length": "map"}]}},
            "speed changes the length of u",
        ),
    ],
)
def test_refused_configurations(data, config, tmp_path, change, message):
    config.write_text(yaml.safe_dump(CONFIG | change))
    with pytest.raises(UserError, match=message):
        pretrain(config, [data], tmp_path / "t")


def test_an_utterance_shorter_than_a_frame(config, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(300), 16000)
    write_data_dir(tmp_path / "d", {"wav.scp": {"x": str(tmp_path / "x.wav")}})
    with pytest.raises(DataDirError, match="x has 300 samples; one frame needs 400"):
        pretrain(config, [tmp_path / "d"], tmp_path / "t")


def test_units_are_those_of_clean_speech_whatever_is_heard(data, config, tmp_path):
    pretrain(config, [data], tmp_path / "clean")
    config.write_text(yaml.safe_dump(CONFIG | {"distortion": NOISE}))
    pretrain(config, [data], tmp_path / "noisy")
    units = [np.load(tmp_path / f"{name}.work/units.npz")["units"] for name in ("clean", "noisy")]
    assert np.array_equal(*units)
    clean, noisy = (load_teacher(tmp_path / name).state_dict() for name in ("clean", "noisy"))
    assert not all(torch.equal(clean[key], noisy[key]) for key in clean)


def test_begins_with_the_weights_of_another_model(data, config, tmp_path):
    pretrain(config, [data], tmp_path / "first")
    path = str(tmp_path / "first")
    further = {key: value for key, value in CONFIG.items() if key != "model"} | {"init": path}
    begun = MaskedPrediction(PretrainConfig(**further)).speech_model
    assert all(p.requires_grad for p in begun.parameters())
    first = load_teacher(path).state_dict()
    assert all(torch.equal(first[key], value) for key, value in begun.state_dict().items())

    config.write_text(yaml.safe_dump(further | {"units": {"from": path, "layer": 1}}))
    pretrain(config, [data], tmp_path / "second")
    second = load_teacher(tmp_path / "second", [1, 2]).state_dict()
    assert not all(torch.equal(first[key], second[key]) for key in first)


def test_resumed_equals_uninterrupted_with_init_and_distortion(data, config, tmp_path, monkeypatch):
    pretrain(config, [data], tmp_path / "first")
    further = {key: value for key, value in CONFIG.items() if key != "model"}
    further |= {"init": str(tmp_path / "first"), "distortion": NOISE, "steps": 8}
    config.write_text(yaml.safe_dump(further))
    _interrupt_and_resume(data, config, tmp_path, monkeypatch, 6)


def test_the_shipped_teachers_say_what_made_them(root):
    mini = root / "egs/mini/asr1"
    for name in ("teacher", "teacher_robust"):
        record = read_config(mini / name / "pretraining.json", Record)
        PretrainConfig(**record.pretrain_config)
    robust = read_config(mini / "conf/pretrain_robust.yaml", PretrainConfig)
    record = read_config(mini / "teacher_robust/pretraining.json", Record)
    assert PretrainConfig(**record.pretrain_config) == robust


def test_no_gpu_for_cuda(data, config, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch finds no GPU here"):
        pretrain(config, [data], tmp_path / "t", "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_learns_as_on_a_cpu(data, config, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    curves = []
    for device in ("cpu", "cuda"):
        pretrain(config, [data], tmp_path / device, device)
        with (tmp_path / f"{device}.work/curve.csv").open() as f:
            curves.append([float(row["loss"]) for row in csv.DictReader(f)])
    assert curves[1] == pytest.approx(curves[0], rel=0.02)
