import subprocess
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from espnet_robust.common.config import from_mapping
from espnet_robust.common.errors import ConfigError, ModelError
from espnet_robust.models import student as student_module
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import (
    ENCODER,
    StudentConfig,
    build_student,
    describe,
    load_student,
    save_student,
)


def test_student_starts_as_the_teachers_first_layers(teacher, batch):
    student = build_student(teacher, StudentConfig(num_layers=2)).eval()
    assert student.num_layers == 2
    assert all(p.requires_grad for p in student.parameters())
    ours, theirs = student(*batch), teacher(*batch)
    for layer in range(3):
        assert torch.equal(ours.states[layer], theirs.states[layer])
    assert torch.equal(ours.lengths, theirs.lengths)


STUDENTS = {
    "distilhubert": {},
    "deep": {"num_layers": 3, "init": "convolutions", "overrides": {"hidden_size": 24}},
    "thin": {
        "init": "random",
        # Layer norm over 4 channels would multiply the last bits of float32 by a hundred.
        "overrides": {"hidden_size": 8, "intermediate_size": 12, "conv_dim": [12] * 7},
    },
    "wavlm": {
        "kind": "wavlm",
        "init": "random",
        "overrides": {
            "hidden_size": 16,
            "num_attention_heads": 2,
            "num_conv_pos_embeddings": 15,
        },
    },
    "lstm": {"kind": "lstm", "init": "convolutions", "overrides": {"hidden_size": 24}},
    "thin_front": {
        "kind": "thin",
        "init": "random",
        "overrides": {
            "hidden_size": 16,
            "num_attention_heads": 2,
            "num_conv_pos_embeddings": 15,
            "conv_dim": [8, 12, 16, 16, 16],
        },
    },
    "log_mel": {
        "kind": "log_mel",
        "init": "random",
        "overrides": {"hidden_size": 16, "num_attention_heads": 2, "num_conv_pos_embeddings": 15},
    },
    "stream": {
        "kind": "log_mel",
        "init": "random",
        "causal": True,
        "overrides": {"hidden_size": 16, "num_attention_heads": 2},
    },
    "lstm_forward": {
        "kind": "lstm",
        "num_layers": 3,
        "init": "random",
        "overrides": {"hidden_size": 12, "bidirectional": False},
    },
}


def build(teacher, conf):
    torch.manual_seed(0)
    return build_student(teacher, from_mapping(conf, StudentConfig, "student_conf"))


@pytest.mark.parametrize("kind", STUDENTS)
def test_frames_are_the_teachers(teacher, kind):
    student = build(teacher, STUDENTS[kind])
    assert (student.normalize, student.rate) == (kind != "stream", teacher.rate)
    for samples in (400, 719, 720, 3000, 8000):
        wav, lengths = torch.randn(1, samples), torch.tensor([samples])
        ours, theirs = student.eval()(wav, lengths), teacher(wav, lengths)
        assert torch.equal(ours.lengths, theirs.lengths)
        assert sorted(ours.states) == list(range(student.num_layers + 1))
        for state in ours.states.values():
            assert state.shape == (1, *theirs.states[0].shape[1:2], student.hidden_size)


@pytest.mark.parametrize("kind", STUDENTS)
@pytest.mark.parametrize("of", ["hubert_layer_norm", "hubert_group_norm"])
def test_a_student_batched_is_the_student_alone(teacher_dirs, batch, of, kind):
    student = build(load_teacher(teacher_dirs[of]), STUDENTS[kind]).eval()
    wav, lengths = batch
    together = student(wav, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone = student(wav[i : i + 1, :n], lengths[i : i + 1])
        for layer, state in alone.states.items():
            frames = state.shape[1]
            torch.testing.assert_close(
                together.states[layer][i, :frames], state[0], atol=1e-5, rtol=1e-5
            )


@pytest.mark.parametrize("kind", STUDENTS)
def test_gradients_reach_every_weight_that_is_used(teacher, batch, kind):
    student = build(teacher, STUDENTS[kind])
    student(*batch).states[student.num_layers].square().sum().backward()
    without = {name for name, p in student.named_parameters() if p.grad is None}
    assert without <= {"encoder.masked_spec_embed"}


@pytest.mark.parametrize(
    ("kind", "causal"),
    [*((k, False) for k in ("lstm", "hubert", "wavlm", "thin", "log_mel")), ("log_mel", True)],
)
def test_another_kind_is_as_wide_as_its_teacher(teacher, kind, causal):
    conf = StudentConfig(kind=kind, init="random", num_layers=1, causal=causal)
    student = build_student(teacher, conf)
    assert student.hidden_size == teacher.hidden_size == 16
    assert student.config.intermediate_size == teacher.config.intermediate_size


@pytest.mark.parametrize("kind", ["deep", "lstm"])
def test_convolutions_of_the_teacher(teacher, kind):
    student = build(teacher, STUDENTS[kind])
    for name, weight in teacher.encoder.feature_extractor.state_dict().items():
        assert torch.equal(student.encoder.feature_extractor.state_dict()[name], weight)


def test_group_norm_comes_only_with_its_weights(teacher_dirs):
    teacher = load_teacher(teacher_dirs["hubert_group_norm"])
    for kind, norm in (("lstm", "group"), ("lstm_forward", "layer"), ("wavlm", "layer")):
        assert build(teacher, STUDENTS[kind]).config.feat_extract_norm == norm


def test_a_teacher_of_filter_banks_teaches_a_student_of_waveforms(teacher_dirs, batch):
    teacher = load_teacher(teacher_dirs["w2v_bert"], [2])
    for kind, size in (("wavlm", 16), ("lstm_forward", 12)):
        overrides = STUDENTS[kind]["overrides"] | {"conv_dim": [8] * 7}
        student = build(teacher, STUDENTS[kind] | {"overrides": overrides})
        assert student.normalize
        ours, theirs = student(*batch), teacher(*batch)
        assert torch.equal(ours.lengths, theirs.lengths)
        assert ours.states[2].shape == (*theirs.states[2].shape[:2], size)
    for conf in ({}, {"init": "convolutions", "kind": "lstm"}, {"init": "random"}):
        with pytest.raises(
            ModelError, match="wav2vec2-bert teacher reads filter banks, but students"
        ):
            build(teacher, conf)


@pytest.mark.parametrize("kind", ["hubert_layer_norm", "hubert_group_norm", "w2v_bert"])
def test_masked_frames_are_the_mask_vector(teacher_dirs, batch, kind):
    model = load_teacher(teacher_dirs[kind]).train()  # where transformers would mask by itself
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # of attention weights
    masked = torch.zeros(3, 24, dtype=torch.bool)
    masked[2, 3] = True
    plain, hidden = model(*batch).states, model(*batch, mask_time_indices=masked).states
    assert torch.equal(hidden[4][0], plain[4][0])
    assert not torch.equal(hidden[4][2, :9], plain[4][2, :9])
    assert torch.equal(model(*batch).states[4][2, :9], plain[4][2, :9])
    if kind == "w2v_bert":  # no positional convolution before layer 0
        torch.testing.assert_close(hidden[0][2, 3], model.encoder.masked_spec_embed)
    del model.encoder.masked_spec_embed
    with pytest.raises(ModelError, match="frames cannot be masked"):
        model(*batch, mask_time_indices=masked)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"num_layers": 9}, "9 layers cannot be initialised"),
        ({"num_layers": 0}, "at least 1"),
        ({"init": "clone"}, "not teacher, convolutions or random"),
        ({"kind": "gru"}, "'gru' is not one of teacher, lstm, thin, hubert"),
        (
            {"kind": "thin", "init": "convolutions"},
            "thin has a front end of its own: use `init: random`",
        ),
        (
            {"kind": "log_mel", "init": "random", "overrides": {"conv_dim": [80, 80]}},
            "cannot be built: conv_dim: \\[80, 80\\]: the second number must be 2",
        ),
        ({"kind": "thin", "init": "random", "causal": True}, "causal: needs `kind: log_mel`"),
        (
            {"kind": "log_mel", "init": "random", "causal": True, "left_ms": 300},
            "chunk_ms: 320, left_ms: 300: need a multiple of 20 ms for chunk_ms, and a multiple",
        ),
        (
            {"kind": "log_mel", "init": "random", "causal": True, "left_ms": 20160},
            "left_ms: 20160: need at most 20000 ms",
        ),
        (
            {"kind": "log_mel", "init": "random", "causal": True, "left_ms": -320},
            "left_ms: must be a whole number of at least 0, got -320",
        ),
        (
            {"kind": "log_mel", "init": "random", "causal": True, "chunk_ms": 320.0},
            "chunk_ms: must be a whole number of at least 1, got 320.0",
        ),
        ({"causal": "no"}, "causal: must be true or false, got 'no'"),
        ({"kind": "log_mel", "init": "random", "chunk_ms": 160}, "need `causal: true`"),
        ({"num_layer": 2}, "did you mean 'num_layers'"),
        ({"overrides": {"hidden_size": 8}}, "need `init: convolutions` or `init: random`"),
        ({"kind": "lstm"}, "need `init: convolutions` or `init: random`"),
        ({"init": "random", "overrides": {"conv_stride": [5, 2, 2, 2, 2, 2, 1]}}, "frames differ"),
        ({"init": "random", "overrides": {"hiden_size": 8}}, "did you mean 'hidden_size'"),
        ({"init": "random", "overrides": {"num_hidden_layers": 8}}, "set by kind and num_layers"),
        ({"init": "random", "overrides": {"hidden_size": "8"}}, "hidden_size: '8': need 1 to"),
        ({"init": "random", "overrides": {"hidden_size": 0}}, "hidden_size: 0: need 1 to"),
        ({"init": "random", "overrides": {"conv_dim": [8]}}, "convolutional layers is incorrect"),
        ({"init": "random", "overrides": {"hidden_act": "relo"}}, "cannot be built: 'relo'"),
        ({"init": "convolutions", "overrides": {"conv_dim": [4] * 7}}, "weights do not fit"),
        (
            {"kind": "lstm", "init": "random", "overrides": {"hidden_size": 9}},
            "9 cannot be halved for two directions",
        ),
    ],
)
def test_refused_students(teacher, conf, message):
    with pytest.raises((ConfigError, ModelError), match=message) as refusal:
        build(teacher, conf)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", STUDENTS)
def test_directory_gives_back_the_same_student(teacher, batch, tmp_path, kind):
    student = build(teacher, STUDENTS[kind]).eval()
    save_student(student, tmp_path / "s", {"seed": 3})
    loaded = load_student(tmp_path / "s")
    assert not loaded.training
    assert describe(loaded) == describe(student)
    assert torch.equal(loaded(*batch).states[2], student(*batch).states[2])
    assert yaml.safe_load((tmp_path / "s/config.yaml").read_text())["provenance"] == {"seed": 3}


PLAIN = """
import sys
import torch
from transformers import AutoFeatureExtractor, AutoModel
directory, trust, wav, out = sys.argv[1], sys.argv[2] == "True", sys.argv[3], sys.argv[4]
model = AutoModel.from_pretrained(directory, trust_remote_code=trust).eval()
extractor = AutoFeatureExtractor.from_pretrained(directory)
inputs = extractor([row.numpy() for row in torch.load(wav)], sampling_rate=16000, padding=True,
                   return_tensors="pt")
torch.save(model(**inputs, output_hidden_states=True).hidden_states, out)
assert not [name for name in sys.modules if name.startswith("espnet")]
"""


@pytest.mark.parametrize("kind", ["distilhubert", "wavlm", "lstm", "log_mel", "stream"])
def test_transformers_alone_loads_a_student_directory(teacher, batch, tmp_path, kind):
    student = build(teacher, STUDENTS[kind]).eval()
    save_student(student, tmp_path / "s", {"teacher": "a"})
    wav, lengths = batch
    rows = [row[:n] for row, n in zip(wav, lengths.tolist(), strict=True)]
    torch.save(rows, tmp_path / "wav")
    trust = "trust_remote_code=True" in (tmp_path / "s/README.md").read_text()
    assert trust is (kind in ("lstm", "log_mel", "stream"))
    arguments = [tmp_path / "s", trust, tmp_path / "wav", tmp_path / "out"]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PLAIN, *map(str, arguments)],
        check=True, cwd=tmp_path, env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
    )  # fmt: skip
    ours, theirs = student(wav, lengths), torch.load(tmp_path / "out")
    for layer, state in ours.states.items():
        for i, n in enumerate(ours.lengths.tolist()):
            torch.testing.assert_close(theirs[layer][i, :n], state[i, :n], atol=1e-5, rtol=1e-5)


def test_a_directory_of_version_1_still_loads(teacher, batch, tmp_path):
    student = build(teacher, STUDENTS["distilhubert"]).eval()
    save_student(student, tmp_path, {})
    weights = load_file(tmp_path / "model.safetensors")
    assert not any(key.startswith("encoder.encoder.") for key in weights)
    save_file({ENCODER + key: v for key, v in weights.items()}, tmp_path / "model.safetensors")
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | {"version": 1}))
    loaded = load_student(tmp_path)
    assert torch.equal(loaded(*batch).states[2], student(*batch).states[2])


def test_student_of_a_group_norm_teacher_does_not_see_padding(teacher_dirs, batch):
    teacher = load_teacher(teacher_dirs["hubert_group_norm"])
    student = build_student(teacher, StudentConfig()).train()
    wav, lengths = batch
    student(wav, lengths).states[2].sum().backward()
    assert student.encoder.feature_extractor.conv_layers[0].conv.weight.grad.abs().sum() > 0
    student.eval()
    together, alone = (
        student(wav, lengths).states[2],
        student(wav[2:, :3000], lengths[2:]).states[2],
    )
    torch.testing.assert_close(together[2, : alone.shape[1]], alone[0], atol=1e-5, rtol=1e-5)


def test_an_export_over_another_that_is_interrupted_does_not_load(teacher, tmp_path, monkeypatch):
    save_student(build(teacher, STUDENTS["distilhubert"]), tmp_path, {})

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(student_module, "write_transformers_files", killed)
    with pytest.raises(KeyboardInterrupt):
        save_student(build(teacher, STUDENTS["distilhubert"]), tmp_path, {"seed": 1})
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be read"):
        load_student(tmp_path)


def test_broken_directories(teacher, tmp_path):
    with pytest.raises(ModelError, match="no such student directory"):
        load_student(tmp_path / "none")
    save_student(build_student(teacher, StudentConfig()), tmp_path, {})
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be read"):
        load_student(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(weights)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    config["arch"]["num_hidden_layers"] = 3
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match="weights do not fit"):
        load_student(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | {"version": 99}))
    with pytest.raises(ModelError, match="version 99"):
        load_student(tmp_path)
