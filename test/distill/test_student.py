import pytest
import torch
import yaml

from espnet_robust.config import from_mapping
from espnet_robust.distill.speech_model import load_teacher
from espnet_robust.distill.student import (
    StudentConfig,
    build_student,
    load_student,
    save_student,
)
from espnet_robust.errors import ConfigError, ModelError


def test_student_starts_as_the_teachers_first_layers(teacher, batch):
    student = build_student(teacher, StudentConfig(num_layers=2)).eval()
    assert student.num_layers == 2
    assert all(p.requires_grad for p in student.parameters())
    ours, theirs = student(*batch), teacher(*batch)
    for layer in range(3):
        assert torch.equal(ours.states[layer], theirs.states[layer])
    assert torch.equal(ours.lengths, theirs.lengths)


def test_student_of_another_shape_from_scratch(teacher, batch):
    config = StudentConfig(3, "random", {"hidden_size": 24, "intermediate_size": 8})
    student = build_student(teacher, config)
    assert student(*batch).states[3].shape == (3, 24, 24)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"num_layers": 9}, "9 layers cannot be initialised"),
        ({"num_layers": 0}, "at least 1"),
        ({"init": "clone"}, "not teacher or random"),
        ({"num_layer": 2}, "did you mean 'num_layers'"),
        ({"overrides": {"hidden_size": 8}}, "need `init: random`"),
        ({"init": "random", "overrides": {"conv_stride": [5, 2, 2, 2, 2, 2, 1]}}, "frames differ"),
    ],
)
def test_refused_students(teacher, conf, message):
    with pytest.raises((ConfigError, ModelError), match=message):
        build_student(teacher, from_mapping(conf, StudentConfig, "student_conf"))


def test_directory_gives_back_the_same_student(teacher, batch, tmp_path):
    student = build_student(teacher, StudentConfig()).eval()
    save_student(student, tmp_path / "s", {"seed": 3})
    loaded = load_student(tmp_path / "s")
    assert not loaded.training
    assert torch.equal(loaded(*batch).states[2], student(*batch).states[2])
    assert yaml.safe_load((tmp_path / "s/config.yaml").read_text())["provenance"] == {"seed": 3}


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
