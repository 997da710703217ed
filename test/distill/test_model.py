import copy

import pytest
import torch

from espnet_robust.distill.adversary import Adversary
from espnet_robust.distill.domains import AdversaryConfig
from espnet_robust.distill.losses import cosine, l1
from espnet_robust.distill.model import DistillModel
from espnet_robust.distill.schedule import Schedule
from espnet_robust.distill.targets import Targets
from espnet_robust.models.padding import valid_frames
from espnet_robust.models.student import StudentConfig, build_student


def make(teacher, adversary: AdversaryConfig | None = None, norm: str = "none") -> DistillModel:
    torch.manual_seed(0)
    student = build_student(teacher, StudentConfig()).eval()  # no dropout: exact comparisons
    domain = adversary and Adversary(student.hidden_size, student.num_layers, 2, adversary)
    torch.manual_seed(1)  # the same heads with and without adversary
    return DistillModel(
        Targets([teacher], [2, 4], norm), student, {"l1": 1.0, "cosine": 0.5}, domain
    )


@pytest.fixture
def inputs(batch):
    wav, lengths = batch
    noisy = wav + 0.05 * torch.randn(wav.shape, generator=torch.Generator().manual_seed(2))
    return {
        "speech": wav,
        "speech_lengths": lengths,
        "student_speech": noisy,
        "student_speech_lengths": lengths,
        "domain": torch.tensor([[0], [1], [1]]),
    }


def test_loss_is_that_of_the_frames_that_are_not_padding(teacher, inputs):
    model = make(teacher)
    loss, _, weight = model(**inputs)
    target = teacher(inputs["speech"], inputs["speech_lengths"])
    hidden = model.student(inputs["student_speech"], inputs["student_speech_lengths"])
    last = valid_frames(hidden.states[2], hidden.lengths)
    expected = 0.0
    for layer in (2, 4):
        wanted = valid_frames(target.states[layer], target.lengths)
        pair = model.heads[str(layer)](last), wanted, hidden.lengths
        expected += (l1(*pair) + 0.5 * cosine(*pair)) / 2
    torch.testing.assert_close(loss.squeeze(), expected)
    assert weight == hidden.lengths.sum()
    wider = {
        k: torch.nn.functional.pad(v, (0, 900), value=9.0) if "speech" in k and v.ndim == 2 else v
        for k, v in inputs.items()
    }
    torch.testing.assert_close(model(**wider)[0], loss)


def test_only_student_heads_and_adversary_are_trained(teacher, inputs):
    model = make(teacher, AdversaryConfig(ramp=0))
    model.train()
    model(**inputs)[0].backward()
    assert not teacher.training
    assert all(p.grad is None for p in teacher.parameters())
    without = [n for n, p in model.named_parameters() if p.grad is None]
    # The last layer's states are used, so every weight has a gradient but the mask vector.
    assert [n for n in without if "masked_spec_embed" not in n] == []
    assert not any("teacher" in key for key in model.state_dict())


def test_lambda_zero_trains_the_student_as_without_adversary(teacher, inputs):
    plain, zero = make(teacher), make(teacher, AdversaryConfig(weight=0.0))
    for model in (plain, zero):
        model(**inputs)[0].backward()
    for (name, a), (_, b) in zip(
        plain.student.named_parameters(), zero.student.named_parameters(), strict=True
    ):
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, msg=name)


def test_the_domain_gradient_changes_the_students(teacher, inputs):
    plain, against = make(teacher), make(teacher, AdversaryConfig(weight=5.0, ramp=0))
    for model in (plain, against):
        model(**inputs)[0].backward()
    weight = "encoder.feature_projection.projection.weight"
    a, b = (m.student.get_parameter(weight).grad for m in (plain, against))
    assert (a - b).abs().max() > 1e-6


def test_progress_counts_training_steps_only(teacher, inputs):
    model = make(teacher, AdversaryConfig(weight=1.0))
    model.start_epoch(Schedule(epoch=2, max_epoch=2, steps_per_epoch=5))
    assert model.schedule.share == 0.5
    model.train()
    model(**inputs)
    model.eval()
    model(**inputs)
    assert model.schedule.share == 0.6


def test_device_and_dtype_reach_the_hidden_teacher(teacher):
    model = make(copy.deepcopy(teacher)).double()
    assert next(model.targets.teachers[0].parameters()).dtype == torch.float64


def test_normalised_targets_do_not_depend_on_the_scale_of_the_teacher(teacher, inputs):
    model = make(teacher, norm="layer")
    before = model(**inputs)[0]
    last = teacher.encoder.encoder.layers[3]
    hook = last.register_forward_hook(lambda _, __, output: 3 * output + 1)
    after = model(**inputs)[0]
    hook.remove()
    torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)


def test_progress_counts_updates_and_not_batches(teacher, inputs):
    model = make(teacher, AdversaryConfig(weight=1.0))
    model.start_epoch(Schedule(epoch=2, max_epoch=2, steps_per_epoch=5), batches_per_step=2)
    model.train()
    model(**inputs)
    assert model.schedule.step == 5
    model(**inputs)
    assert model.schedule.step == 6 and model.schedule.share == 0.6


@pytest.mark.parametrize("dat", ["none", "reversal", "pairs", "linear", "coral", "mmd"])
def test_the_average_moves_once_in_each_update(teacher, inputs, dat):
    """Also where the student hears each batch twice."""
    student = build_student(teacher, StudentConfig()).eval()
    config = AdversaryConfig(method=dat) if dat != "none" else None
    domain = config and Adversary(student.hidden_size, student.num_layers, 2, config)
    model = DistillModel(Targets([teacher], [2]), student, {"l1": 1.0}, domain, ema=0.9)
    model.start_epoch(Schedule(steps_per_epoch=2), batches_per_step=2)
    model.train()
    ours, theirs = next(model.ema_heads.parameters()), next(model.heads.parameters())
    begun = theirs.detach().clone()
    with torch.no_grad():
        theirs += 1
    for share in (0.1, 0.1, 0.19):
        model(**inputs, clean_speech=inputs["speech"])
        torch.testing.assert_close(ours, begun + share)
    model.eval()
    model(**inputs, clean_speech=inputs["speech"], utt_id=["a", "b", "c"])
    torch.testing.assert_close(ours, begun + 0.19)


def test_an_auxiliary_loss_keeps_its_place_among_the_weights(teacher, inputs):
    """Old checkpoints, those of the optimizer too, know weights by name and by order."""
    student = build_student(teacher, StudentConfig()).eval()
    domain = Adversary(student.hidden_size, student.num_layers, 2, AdversaryConfig())
    losses = {"l1": 1.0, "denoise": 0.5}
    model = DistillModel(Targets([teacher], [2]), student, losses, domain, ema=0.9)
    parts = list(dict.fromkeys(name.split(".")[0] for name in model.state_dict()))
    assert parts == ["student", "heads", "adversary", "denoiser", "ema_student", "ema_heads"]
    loss, stats, _ = model(**inputs, clean_speech=inputs["speech"], clean_speech_lengths=None)
    assert stats["distill"] == pytest.approx(float(stats["l1"] + 0.5 * stats["denoise"]))
    loss.backward()
    assert model.denoiser.head.weight.grad.abs().max() > 0


@pytest.mark.parametrize("dat", ["none", "reversal", "pairs"])
@pytest.mark.parametrize("probes", [False, True])
def test_the_clean_crop_is_heard_only_where_it_is_needed(teacher, inputs, dat, probes):
    """A loss, such as ``denoise``, may bring it where neither adversary nor probe hears it."""
    student = build_student(teacher, StudentConfig()).eval()
    config = AdversaryConfig(method=dat) if dat != "none" else None
    domain = config and Adversary(student.hidden_size, student.num_layers, 2, config)
    losses = {"l1": 1.0, "denoise": 0.5}
    model = DistillModel(Targets([teacher], [2]), student, losses, domain, probes=probes)
    calls = []
    student.register_forward_hook(lambda *_: calls.append(1))
    for training, passes in ((True, 1 + (dat == "pairs")), (False, 1 + (dat == "pairs" or probes))):
        calls.clear()
        model.train(training)
        for i in range(5):
            ids = [f"{i}{name}" for name in "abc"]
            model(**inputs, clean_speech=inputs["speech"], utt_id=ids)
        assert len(calls) == 5 * passes
    assert set(model.fit_probes()) == (
        {"domain_probe", "domain_probe_deviation"} if probes else set()
    )
