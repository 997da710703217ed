import shutil
import subprocess
import sys

import pytest
import torch
import yaml
from espnet2.torch_utils.initialize import initialize
from torch import nn

import espnet_robust
from espnet_robust.common.errors import AudioError, ConfigError, ModelError
from espnet_robust.models.speech_model import load_teacher
from espnet_robust.models.student import load_student, save_student
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.optim import ScaledAdamW


@pytest.fixture
def batch():
    return torch.randn(3, 8000, generator=torch.Generator().manual_seed(1)), torch.tensor(
        [8000, 6123, 3000]
    )


class Recogniser(nn.Module):
    """What ESPnet's models look like to ``initialize``."""

    def __init__(self, frontend):
        super().__init__()
        self.frontend = frontend
        self.encoder = nn.Linear(16, 4)


def test_features_are_the_weighted_sum_of_the_students_layers(student_dir, batch):
    frontend = RobustFrontend(fs="16k", student={"path": str(student_dir)})
    features, lengths = frontend(*batch)
    states = load_student(student_dir)(*batch)
    mean = sum(states.states.values()) / len(states.states)
    assert torch.equal(lengths, states.lengths)
    assert frontend.output_size() == features.shape[-1] == 16
    for i, n in enumerate(lengths.tolist()):
        torch.testing.assert_close(features[i, :n], mean[i, :n])
        assert not features[i, n:].any()


@pytest.mark.parametrize(("layers", "layer"), [("last", 2), (1, 1)])
def test_one_layer(student_dir, batch, layers, layer):
    features, lengths = RobustFrontend(student={"path": str(student_dir)}, layers=layers)(*batch)
    expected = load_student(student_dir)(*batch).states[layer]
    torch.testing.assert_close(features[0, : lengths[0]], expected[0, : lengths[0]])


def test_a_students_eraser_is_part_of_the_trained_model(student_dir, with_eraser, batch, tmp_path):
    student = with_eraser(load_student(student_dir))
    save_student(student, tmp_path / "s", {})
    conf = {"path": str(tmp_path / "s")}
    frontend = RobustFrontend(student=conf, layers="last")
    expected = student(*batch).states[2]
    features, frames = frontend(*batch)
    torch.testing.assert_close(features[0], expected[0])
    assert not torch.allclose(load_student(student_dir)(*batch).states[2][0], features[0])
    # From ESPnet's configuration and checkpoint, without the directory.
    shutil.rmtree(tmp_path / "s")
    again = RobustFrontend(student=conf, layers="last").eval()
    again.load_state_dict(frontend.state_dict())
    assert torch.equal(again(*batch)[0], features)
    alone, _ = again(batch[0][2:, :3000], batch[1][2:])
    torch.testing.assert_close(features[2, : frames[2]], alone[0], atol=1e-5, rtol=1e-5)


def test_a_teacher_in_the_same_place(teacher_dir, batch):
    features, _ = RobustFrontend(student={"hf": str(teacher_dir)}, layers="last")(*batch)
    torch.testing.assert_close(features[0], load_teacher(teacher_dir)(*batch).states[3][0])


def test_padding_and_batch_mates_do_not_matter(student_dir, batch):
    frontend, (wav, lengths) = RobustFrontend(student={"path": str(student_dir)}), batch
    together, frames = frontend(wav, lengths)
    alone, _ = frontend(wav[2:, :3000], lengths[2:])
    torch.testing.assert_close(together[2, : frames[2]], alone[0], atol=1e-5, rtol=1e-5)


def test_frozen_is_frozen_whatever_train_is_called(student_dir, batch):
    frontend = RobustFrontend(student={"path": str(student_dir)})
    Recogniser(frontend).train()
    assert frontend.training and not frontend.speech_model.training
    frontend(*batch)[0].sum().backward()
    assert frontend.layer_weights.grad is not None
    assert all(p.grad is None and not p.requires_grad for p in frontend.speech_model.parameters())


def test_fine_tuning_reaches_the_student(student_dir, batch):
    frontend = RobustFrontend(student={"path": str(student_dir)}, freeze=False).train()
    frontend(*batch)[0].square().sum().backward()
    assert frontend.speech_model.training
    weight = frontend.speech_model.encoder.feature_projection.projection.weight
    assert weight.grad.abs().sum() > 0


def test_frozen_for_the_first_steps(student_dir, batch):
    frontend = RobustFrontend(student={"path": str(student_dir)}, freeze=False, freeze_steps=2)
    frontend.train()
    weight = frontend.speech_model.encoder.feature_projection.projection.weight
    for _ in range(2):
        assert frontend.frozen and not frontend.speech_model.training
        frontend.eval()(*batch)  # validation does not count
        with torch.no_grad():
            frontend.train()(*batch)
        frontend(*batch)[0].square().sum().backward()
        assert weight.grad is None and frontend.layer_weights.grad is not None
    assert not frontend.frozen and frontend.speech_model.training
    frontend(*batch)[0].square().sum().backward()
    assert weight.grad.abs().sum() > 0


def test_a_resumed_training_goes_on_counting(student_dir, batch):
    conf = {"student": {"path": str(student_dir)}, "freeze": False, "freeze_steps": 2}
    interrupted, resumed = RobustFrontend(**conf).train(), RobustFrontend(**conf)
    interrupted(*batch)
    resumed.load_state_dict(interrupted.state_dict())
    resumed.train()(*batch)
    assert interrupted.frozen and not resumed.frozen
    # ESPnet's averaging of models sums integers.
    assert all(value.is_floating_point() for value in resumed.state_dict().values())


def test_a_learning_rate_of_its_own_needs_the_optimizer(student_dir, batch):
    frontend = RobustFrontend(student={"path": str(student_dir)}, freeze=False, lr_scale=0.1)
    frontend.eval()(*batch)
    with pytest.raises(ConfigError, match="scaled_adamw"):
        frontend.train()(*batch)
    optimizer = ScaledAdamW(frontend.parameters())
    frontend(*batch)
    assert sorted(group["lr_scale"] for group in optimizer.param_groups) == [0.1, 1.0]


def test_the_cache_changes_nothing(student_dir, batch):
    plain = RobustFrontend(student={"path": str(student_dir)})
    cached = RobustFrontend(student={"path": str(student_dir)}, cache_gb=0.1)
    expected = plain(*batch)[0]
    wav, lengths = batch
    first = cached(wav[1:], lengths[1:])[0]  # two of the three are known afterwards
    torch.testing.assert_close(first, plain(wav[1:], lengths[1:])[0])
    again = cached(wav, lengths)[0]
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=1e-5)
    cached.speech_model.forward = None  # all three are known: the model is not asked
    assert torch.equal(cached(wav, lengths)[0], again)
    cached.cache_nothing()
    with pytest.raises(TypeError):  # None is called
        cached(wav, lengths)


def test_a_full_cache_still_answers(student_dir, batch):
    tiny = RobustFrontend(student={"path": str(student_dir)}, cache_gb=1e-6)
    assert torch.equal(tiny(*batch)[0], tiny(*batch)[0])


def test_initialisation_does_not_wipe_the_student(student_dir, batch):
    frontend = RobustFrontend(student={"path": str(student_dir)})
    expected = frontend(*batch)[0]
    initialize(Recogniser(frontend), "xavier_uniform")
    torch.testing.assert_close(frontend(*batch)[0], expected)


def test_a_trained_model_needs_no_student_directory(student_dir, batch):
    conf = {"student": {"path": str(student_dir)}}
    trained = RobustFrontend(**conf)
    with torch.no_grad():
        trained.speech_model.encoder.feature_projection.projection.weight.mul_(1.5)
    conf = yaml.safe_load(yaml.safe_dump(conf))  # as ESPnet dumps and reads config.yaml
    conf["student"]["path"] = "gone"
    loaded = RobustFrontend(**conf)
    with pytest.raises(ModelError, match="gone: no such student directory"):
        loaded(*batch)
    initialize(Recogniser(loaded), "xavier_uniform")  # as ESPnet does, if so configured
    loaded.load_state_dict(trained.state_dict(), strict=False)
    assert torch.equal(loaded(*batch)[0], trained(*batch)[0])


def test_a_dumped_configuration_trains_anew(student_dir, batch):
    conf = {"student": {"path": str(student_dir)}}
    expected = RobustFrontend(**conf)(*batch)[0]
    again = RobustFrontend(**conf)  # its architecture is in conf now
    initialize(Recogniser(again), "xavier_uniform")
    assert torch.equal(again(*batch)[0], expected)


def test_a_checkpoint_of_something_else_is_refused_even_when_not_strict(student_dir):
    model = Recogniser(RobustFrontend(student={"path": str(student_dir)}))
    renamed = {k.replace("speech_model", "upstream"): v for k, v in model.state_dict().items()}
    with pytest.raises(ModelError, match="does not fit frontend robust_student"):
        model.load_state_dict(renamed, strict=False)


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({}, "needs `student"),
        ({"student": {"dir": "x"}}, "unknown key dir"),
        ({"student": {"path": "nowhere"}}, "no such student directory"),
        ({"fs": 8000}, "8000 Hz, but the model takes 16000"),
        ({"max_seconds": 11}, "max_seconds: 11: need at least 12, or 0 for no limit"),
        ({"max_seconds": -1}, "max_seconds: must be a number of at least 0, got -1"),
        ({"layers": "first"}, "'first' is not weighted_sum"),
        ({"layers": 3}, r"3 is not .* -3\.\.2"),
        ({"freeze": False, "cache_gb": 1}, "cache_gb needs"),
        ({"freeze_steps": 9}, "freeze_steps and lr_scale need `freeze: false`"),
        ({"freeze": False, "lr_scale": 0.0}, "lr_scale: must be a number above 0, got 0.0"),
        ({"freeze": False, "lr_scale": "1e-1"}, "lr_scale: .* write 1e-3 as 0.001 or 1.0e-3"),
        ({"freeze": False, "lr_scale": float("nan")}, "lr_scale: must be .* got nan"),
        ({"freeze": False, "freeze_steps": "200"}, "freeze_steps: must be a whole number"),
        ({"freeze": "false"}, "freeze: must be true or false, got 'false'"),
        ({"cache_gb": "2"}, "cache_gb: must be a number"),
        ({"cache_gb": -1}, "cache_gb: must be a number of at least 0, got -1"),
        ({"max_seconds": float("inf")}, "max_seconds: must be a number"),
        ({"max_seconds": "60"}, "max_seconds: must be a number"),
        ({"fs": "abc"}, "fs: must be a rate in Hz such as 16000, got 'abc'"),
        ({"fs": None}, "fs: must be a rate"),
    ],
)
def test_refused_configurations(student_dir, conf, message):
    if conf:
        conf.setdefault("student", {"path": str(student_dir)})
    with pytest.raises((ConfigError, ModelError), match=message):
        RobustFrontend(**conf)


def test_too_short_an_utterance(student_dir):
    frontend = RobustFrontend(student={"path": str(student_dir)})
    with pytest.raises(ModelError, match="399 samples is shorter than one frame"):
        frontend(torch.zeros(1, 399), torch.tensor([399]))


def test_long_utterances_go_by_windows(student_dir):
    conf = {"student": {"path": str(student_dir)}}
    short, long = (
        torch.randn(s * 16_000, generator=torch.Generator().manual_seed(s)) for s in (3, 30)
    )
    batch = torch.nn.utils.rnn.pad_sequence([long, short], batch_first=True)
    lengths = torch.tensor([len(long), len(short)])
    whole, frames = RobustFrontend(**conf, max_seconds=0).eval()(batch, lengths)
    for options in ({}, {"cache_gb": 1.0}, {"freeze": False}):
        frontend = RobustFrontend(**conf, max_seconds=12, **options).eval()
        found, found_frames = frontend(batch, lengths)
        assert found.shape == whole.shape and torch.equal(frames, found_frames)
        torch.testing.assert_close(found[1], whole[1], atol=1e-4, rtol=1e-4)
        assert (found[0] - whole[0]).norm() < 0.3 * whole[0].norm()
        found.sum().backward()
        trained = [p.grad is not None for p in frontend.speech_model.parameters()]
        assert any(trained) == (options == {"freeze": False})
        assert frontend.layer_weights.grad is not None
    same, _ = RobustFrontend(**conf, max_seconds=30).eval()(batch, lengths)
    torch.testing.assert_close(same, whole)


def test_stereo_is_one_line(student_dir):
    frontend = RobustFrontend(student={"path": str(student_dir)})
    with pytest.raises(AudioError, match=r"need mono audio \(B, N\), got \(2, 8000, 2\)"):
        frontend(torch.zeros(2, 8000, 2), torch.tensor([8000, 8000]))


def test_registered_in_every_task():
    from espnet2.tasks import asr, cls, diar, st

    from espnet_robust.plugin.registration import register

    assert espnet_robust.register() == register() >= 16
    for task in (asr, cls, diar, st):
        assert task.frontend_choices.get_class("robust_student") is RobustFrontend
    asr.frontend_choices.classes["robust_student"] = object
    try:
        with pytest.raises(RuntimeError, match="already registered"):
            register(("asr",))
    finally:
        asr.frontend_choices.classes["robust_student"] = RobustFrontend


def test_the_package_itself_imports_nothing_heavy():
    code = "import sys, espnet_robust; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("exp/student", "write `student: {path: exp/student}` for a student"),
        ({"path": None}, "path: None is not the name of a directory"),
        ({"hf": 3}, "hf: 3 is not the name of a directory"),
    ],
)
def test_what_is_no_student(given, message):
    with pytest.raises(ConfigError, match=message):
        RobustFrontend(student=given)


def test_a_teacher_is_no_student_but_a_student_is_a_model_of_transformers(teacher_dir, student_dir):
    with pytest.raises(ModelError, match="a transformers model, .* `student: {hf: "):
        RobustFrontend(student={"path": str(teacher_dir)})
    wav, lengths = torch.randn(2, 4000), torch.tensor([4000, 3000])
    features = [
        RobustFrontend(student={key: str(student_dir)}, layers="last").eval()(wav, lengths)[0]
        for key in ("path", "hf")
    ]
    torch.testing.assert_close(*features)
