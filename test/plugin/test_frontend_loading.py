"""Weights that a frontend is given: those of another training, or of an edited configuration."""

import copy

import pytest
import torch
from espnet2.tasks import abs_task
from torch import nn

from espnet_robust.common.errors import ModelError
from espnet_robust.models.student import load_student, save_student
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.registration import register

WAV, LENGTHS = torch.ones(1, 4000) / 10, torch.tensor([4000])


def model(student_dir, **conf):
    made = nn.Module()
    made.frontend = RobustFrontend(student={"path": str(student_dir)}, **conf)
    return made


@pytest.mark.parametrize("conf", [{"freeze": False, "freeze_steps": 3}, {}, {"freeze": False}])
def test_a_training_begun_with_a_fine_tuned_model_counts_anew(student_dir, tmp_path, conf):
    register()
    tuned = model(student_dir, freeze=False, freeze_steps=3).train()
    for _ in range(4):
        tuned.frontend(WAV, LENGTHS)
    weight = tuned.frontend.speech_model.encoder.feature_projection.projection.weight
    weight.data.mul_(1.5)
    torch.save(tuned.state_dict(), tmp_path / "tuned.pth")
    begun = model(student_dir, **conf)
    abs_task.load_pretrained_model(str(tmp_path / "tuned.pth"), begun, False)
    frontend = begun.frontend
    assert torch.equal(frontend.speech_model.encoder.feature_projection.projection.weight, weight)
    assert frontend.frozen == (conf != {"freeze": False})
    if conf == {"freeze": False, "freeze_steps": 3}:
        frontend.load_state_dict(tuned.frontend.state_dict())  # resuming goes on counting
        assert not frontend.frozen


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_counts_on(student_dir, dtype):
    frontend = model(student_dir, freeze=False, freeze_steps=3000).to(dtype).frontend.train()
    assert frontend.steps.dtype == torch.float32
    old = frontend.state_dict() | {"steps": torch.tensor(2048, dtype=torch.float16)}
    frontend.load_state_dict(old)
    frontend._count()
    assert float(frontend.steps) == 2049


def test_a_dumped_architecture_of_another_student_is_refused(student_dir, tmp_path):
    other = load_student(student_dir)
    other.normalize = not other.normalize
    save_student(other, tmp_path / "other", {})
    conf = {"path": str(student_dir)}
    RobustFrontend(student=conf)
    RobustFrontend(student=copy.deepcopy(conf))(WAV, LENGTHS)
    edited = RobustFrontend(student=conf | {"path": str(tmp_path / "other")})
    with pytest.raises(ModelError, match="other; remove `arch` from `student`"):
        edited(WAV, LENGTHS)


@pytest.mark.parametrize("kind", ["hubert_large", "wavlm", "wav2vec2_large", "w2v_bert"])
def test_a_dumped_architecture_of_the_same_teacher_is_not(teacher_dirs, kind):
    conf = {"hf": str(teacher_dirs[kind])}
    expected = RobustFrontend(student=conf)(WAV, LENGTHS)[0]
    assert torch.equal(RobustFrontend(student=conf)(WAV, LENGTHS)[0], expected)
