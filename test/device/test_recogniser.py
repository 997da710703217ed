"""The recogniser read without ESPnet is ESPnet's."""

import shutil

import numpy as np
import pytest
import torch
import yaml

from espnet_robust.common.errors import ModelError
from espnet_robust.device.export import export
from espnet_robust.device.features import normalized
from espnet_robust.device.recogniser import read_experiment
from espnet_robust.device.runtime import Runtime
from espnet_robust.models.speech_model import normalize_waveform
from espnet_robust.recognise.decode import load_recogniser

CHECKPOINT = "1epoch.pth"


def normalized_by(experiment, exp, conf):
    """The same weights, with another ``normalize_conf``."""
    shutil.copytree(experiment, exp)
    config = yaml.safe_load((exp / "config.yaml").read_text())
    config["normalize_conf"] = conf
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    return exp


@pytest.mark.parametrize(
    ("name", "conf"),
    [
        ("experiment", {"norm_vars": False}),
        ("experiment", {"norm_vars": True}),
        ("stream_experiment", {"window": 50}),
        ("stream_experiment", {}),
    ],
)
def test_it_computes_what_espnet_computes(request, batch, name, conf, tmp_path):
    exp = normalized_by(request.getfixturevalue(name), tmp_path / "exp", conf)
    batch = batch[0].repeat(1, 3), 3 * batch[1]  # 75 frames: more than the window
    ours = read_experiment(exp, CHECKPOINT)
    theirs = load_recogniser(exp, CHECKPOINT).model
    assert {key: getattr(theirs.normalize, key) for key in conf} == conf
    with torch.no_grad():
        encoded, frames = theirs.encode(*batch)
        expected = theirs.ctc.log_softmax(encoded)
        log_probs, ours_frames = ours.model(*batch)
        assert ours_frames.tolist() == frames.tolist()
        for row, other, n in zip(log_probs, expected, frames.tolist(), strict=True):
            torch.testing.assert_close(row[:n], other[:n], rtol=0, atol=6e-5)
        one, none = ours.model(batch[0][:1], None)
    assert none is None
    torch.testing.assert_close(one[0], expected[0], rtol=0, atol=6e-5)
    assert ours.model.hop == 640


def test_normalisation_in_float64_is_normalisation(batch):
    wav = batch[0] * (torch.arange(8000) < batch[1][:, None])
    expected = normalize_waveform(*batch)
    torch.testing.assert_close(normalized(wav, batch[1]), expected, rtol=1e-5, atol=1e-6)
    whole = normalized(wav[2:, :3000], None)
    torch.testing.assert_close(whole, expected[2:, :3000], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_conf": {"ctc_weight": 0.0}}, "attention only; train it with ctc_weight above 0"),
        ({"frontend": "default"}, "frontend: default; only robust_student is supported"),
        ({"encoder": "conformer"}, "encoder: conformer; only blstm is supported"),
        ({"normalize": "global_mvn"}, "normalize: global_mvn; only utterance_mvn or "),
        ({"normalize_conf": {"norm_means": False}}, "normalize_conf: only `norm_means: true`"),
        ({"token_type": "phn"}, "token_type phn; need bpe, char or word"),
        ({"encoder_conf": {"num_layer": 3}}, "encoder_conf: .*num_layer"),
        ({"encoder_conf": {"hidden_size": 12}}, "weights do not fit"),
        ({"frontend_conf": {}}, "student: no arch"),
    ],
)
def test_experiments_that_are_refused(experiment, tmp_path, change, message):
    exp = tmp_path / "exp"
    exp.mkdir()
    shutil.copy(experiment / CHECKPOINT, exp)
    config = yaml.safe_load((experiment / "config.yaml").read_text()) | change
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=message) as refusal:
        read_experiment(exp, CHECKPOINT)
    assert "\n" not in str(refusal.value)


def test_checkpoints_that_are_not(experiment, tmp_path):
    with pytest.raises(ModelError, match="has training finished"):
        read_experiment(experiment, "9epoch.pth")
    exp = tmp_path / "exp"
    exp.mkdir()
    shutil.copy(experiment / "config.yaml", exp)
    (exp / "a.pth").write_bytes(b"rubbish")
    with pytest.raises(ModelError, match="not a model file"):
        read_experiment(exp, "a.pth")
    (exp / "config.yaml").write_text("optim: adam\n")
    with pytest.raises(ModelError, match="neither a student nor an ASR or classification"):
        read_experiment(exp, "a.pth")


def test_a_graph_with_features_of_unit_variance(experiment, tmp_path):
    exp = normalized_by(experiment, tmp_path / "exp", {"norm_vars": True})
    export(exp, tmp_path / "out", "onnx", CHECKPOINT)
    model, runtime = read_experiment(exp, CHECKPOINT).model, Runtime(tmp_path / "out/model.onnx")
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    wavs = [noise[:n] for n in (400, 3000, 16000)]
    for wav, row in zip(wavs, runtime.rows(wavs), strict=True):
        with torch.no_grad():
            expected = model(torch.from_numpy(wav)[None], None)[0][0].numpy()
        np.testing.assert_allclose(row, expected, rtol=1e-3, atol=1e-3)
