"""``init: teacher``: a student begins with the layers of any teacher, cut or whole."""

import pytest
import torch

from espnet_robust.common.errors import ModelError
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student

from ..conftest import KINDS


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "w2v_bert"])
@pytest.mark.parametrize("targets", [[1, 2], [2, 4]])  # the teacher has 4 layers
def test_every_teacher_hands_on_its_first_layers(teacher_dirs, batch, kind, targets):
    teacher = load_teacher(teacher_dirs[kind], targets)
    student = build_student(teacher, StudentConfig(num_layers=2)).eval()
    wav, lengths = batch
    ours, theirs = student(wav[:1], lengths[:1]).states, teacher(wav[:1], lengths[:1]).states
    for layer in range(3):
        torch.testing.assert_close(ours[layer], theirs[layer])
    if kind.endswith("_large"):
        norm, whole = student.encoder.encoder.layer_norm, teacher.encoder.encoder.layer_norm
        expected = torch.ones(16) if targets == [1, 2] else whole.weight
        assert torch.equal(norm.weight, expected)


def test_another_weight_that_the_teacher_lacks_is_refused(teacher_dirs):
    teacher = load_teacher(teacher_dirs["hubert_large"], [1, 2])
    teacher.encoder.encoder.layers[1].layer_norm = torch.nn.Identity()
    with pytest.raises(ModelError, match="init: teacher: weights do not fit .*1.layer_norm.weight"):
        build_student(teacher, StudentConfig(num_layers=2))
