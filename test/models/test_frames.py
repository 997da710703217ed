from espnet_robust.models.frames import Frames
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import StudentConfig, build_student, describe


def test_two_convolutions_by_hand():
    frames = Frames(16000, ((5, 3), (2, 2)))
    # 8 samples: two frames of the first (0..4, 3..7), one of the second, which covers all 8.
    assert (frames.hop, frames.min_samples) == (6, 8)
    assert [frames.count(n) for n in (0, 7, 8, 13, 14)] == [0, 0, 1, 1, 2]


def test_a_students_description_tells_its_frames(teacher_dirs):
    teacher = load_teacher(teacher_dirs["w2v_bert"])
    small = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    shape = small | {"conv_dim": [8] * 7, "num_conv_pos_embeddings": 15}
    student = build_student(teacher, StudentConfig(kind="hubert", init="random", overrides=shape))
    frames = Frames.from_description(describe(student))
    assert frames == student.frames
    assert (frames.hop, frames.min_samples) == (teacher.hop, teacher.min_samples)
