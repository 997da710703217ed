import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from espnet_robust.common.config import from_mapping
from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.adversary import (
    Adversary,
    AdversaryInput,
    AdversaryOutput,
    reverse_gradient,
)
from espnet_robust.distill.domains import AdversaryConfig, count_domains, domain_labels, ramp
from espnet_robust.distill.moments import MATCHING
from espnet_robust.distill.probe import balanced_accuracy
from espnet_robust.distill.schedule import Schedule

SIZE, HEAD_SIZES = 4, {"2": 3, "4": 5}
LENGTHS = torch.tensor([5, 2])
DOMAIN = torch.tensor([0, 1])
ATTACHED = [{}, {"layers": [0, 2]}, {"layers": "heads"}, {"domains": "student_teacher"}]


def make_inputs(seed: int = 1) -> AdversaryInput:
    """Two utterances of 5 and 2 frames; the padding of the states holds rubbish."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return AdversaryInput(
        states={layer: draw(2, 5, SIZE).requires_grad_() for layer in (0, 1, 2)},
        lengths=LENGTHS,
        domain=DOMAIN,
        predictions={name: draw(7, d).requires_grad_() for name, d in HEAD_SIZES.items()},
        targets={name: draw(7, d) for name, d in HEAD_SIZES.items()},
    )


def at(step: int) -> Schedule:
    """So many updates into a training of 1000."""
    return Schedule(steps_per_epoch=1000, done=step)


def with_clean(inputs: AdversaryInput, seed: int = 5) -> AdversaryInput:
    """The same, and what the student makes of the undistorted crops."""
    clean = make_inputs(seed)
    return replace(inputs, clean=(clean.states, clean.predictions))


def make(**options) -> Adversary:
    torch.manual_seed(0)
    return Adversary(SIZE, 2, 2, AdversaryConfig(**{"ramp": 0} | options), HEAD_SIZES)


def backward(adversary: Adversary, step: int = 0) -> tuple[AdversaryOutput, dict, list]:
    """One step: output, the student's gradients and the classifier's."""
    inputs = make_inputs()
    output = adversary(inputs, at(step))
    output.loss.backward()
    student = {layer: x.grad for layer, x in inputs.states.items()}
    student |= {name: x.grad for name, x in inputs.predictions.items()}
    return output, student, [p.grad for p in adversary.parameters()]


def heard(gradients: dict) -> dict:
    return {name: grad for name, grad in gradients.items() if grad is not None}


def test_reversal_multiplies_the_gradient_and_nothing_else():
    x = torch.ones(3, requires_grad=True)
    y = reverse_gradient(x, 0.5)
    assert y.tolist() == [1.0] * 3
    y.sum().backward()
    assert x.grad.tolist() == [-0.5] * 3


@pytest.mark.parametrize("options", ATTACHED)
@pytest.mark.parametrize("pooled", [True, False])
def test_the_student_climbs_the_cross_entropy_that_the_classifier_descends(options, pooled):
    """Against autograd on the classifier alone, with features put together by hand."""
    options = options | {"pooled": pooled}
    adversary, inputs = make(weight=0.7, **options), make_inputs()
    if options.get("domains") == "student_teacher" or options.get("layers") == "heads":
        student = list(inputs.predictions.values())
        frames = torch.cat(student, -1)
    else:
        student = [inputs.states[layer] for layer in options.get("layers", [2])]
        frames = torch.cat([torch.cat([x[0], x[1, :2]]) for x in student], -1)
    sides = [frames]
    if options.get("domains") == "student_teacher":
        sides = [torch.cat(list(inputs.targets.values()), -1), frames]
    if pooled:
        sides = [torch.stack([x[:5].mean(0), x[5:].mean(0)]) for x in sides]
    if len(sides) == 2:
        classes = [0] * len(sides[0]) + [1] * len(sides[1])
    else:
        classes = [0, 1] if pooled else [0] * 5 + [1] * 2
    logits = adversary.classifier(torch.cat(sides))
    weights = torch.tensor(([5.0, 2.0] if pooled else [1.0] * 7) * len(sides))
    weights = weights / weights.sum()
    plain = (F.cross_entropy(logits, torch.tensor(classes), reduction="none") * weights).sum()
    wanted = torch.autograd.grad(plain, [*student, *adversary.parameters()])

    output = adversary(inputs, at(0))
    got = torch.autograd.grad(output.loss, [*student, *adversary.parameters()])
    torch.testing.assert_close(output.loss, plain)
    right = ((logits.argmax(-1) == torch.tensor(classes)) * weights).sum()
    torch.testing.assert_close(output.stats["domain_acc"], right)
    assert output.distill_weight == 1
    for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
        assert w.abs().sum() > 0
        torch.testing.assert_close(g, -0.7 * w if i < len(student) else w)


@pytest.mark.parametrize("options", ATTACHED)
def test_only_what_the_classifier_hears_gets_a_gradient(options):
    _, student, _ = backward(make(**options))
    heads = "heads" in options.values() or "student_teacher" in options.values()
    assert set(heard(student)) == (set(HEAD_SIZES) if heads else set(options.get("layers", [2])))


@pytest.mark.parametrize("options", ATTACHED)
@pytest.mark.parametrize("method", ["reversal", "alternating"])
def test_the_gradient_scales_with_lambda(options, method):
    options = options | {"method": method}
    one, two, none = (
        heard(backward(make(weight=weight, **options), step=1)[1]) for weight in (0.1, 0.2, 0.0)
    )
    for name, gradient in one.items():
        assert gradient.abs().sum() > 0
        torch.testing.assert_close(two[name], 2 * gradient)
        assert none[name].abs().sum() == 0


@pytest.mark.parametrize("options", ATTACHED)
def test_alternation_trains_one_side_at_a_time(options):
    alternating = make(method="alternating", classifier_steps=2, weight=0.3, **options)
    output, student, classifier = backward(make(weight=0.3, **options))
    for step in (0, 1, 3, 4):
        alternating.zero_grad()
        its_output, its_student, its_classifier = backward(alternating, step)
        assert its_output.distill_weight == 0
        assert heard(its_student) == {}
        torch.testing.assert_close(its_classifier, classifier)
        torch.testing.assert_close(its_output.loss, output.loss)
    for step in (2, 5):
        alternating.zero_grad()
        its_output, its_student, its_classifier = backward(alternating, step)
        assert its_output.distill_weight == 1
        assert its_classifier == [None] * 4
        torch.testing.assert_close(heard(its_student), heard(student))
        torch.testing.assert_close(its_output.loss, -0.3 * output.loss)
        torch.testing.assert_close(its_output.stats, output.stats)


@pytest.mark.parametrize("method", ["reversal", "alternating"])
def test_evaluation_reports_the_cross_entropy_at_every_step(method):
    adversary = make(method=method).eval()
    outputs = [adversary(make_inputs(), at(step)) for step in (0, 1)]
    for output in outputs:
        assert output.distill_weight == 1
        assert output.loss == output.stats["domain_loss"] == outputs[0].loss
        assert not any(value.requires_grad for value in output.stats.values())


@pytest.mark.parametrize("pooled", [True, False])
def test_padding_has_no_say(pooled):
    adversary, inputs = make(pooled=pooled), make_inputs()
    other = make_inputs()
    with torch.no_grad():
        for state in other.states.values():
            state[1, 2:] = 100.0
    losses = [adversary(x, at(0)).loss for x in (inputs, other)]
    assert losses[0] == losses[1]
    losses[0].backward()
    gradient = inputs.states[2].grad
    assert gradient[1, 2:].abs().sum() == 0
    assert gradient[1, :2].abs().sum() > 0


@pytest.mark.parametrize("method", ["reversal", "alternating"])
@pytest.mark.parametrize("pooled", [True, False])
def test_classifier_tells_teacher_from_student_where_it_can(method, pooled):
    adversary = make(domains="student_teacher", method=method, pooled=pooled, classifier_steps=1)
    optimizer = torch.optim.Adam(adversary.parameters(), lr=0.01)
    for step in range(100):
        inputs = make_inputs(seed=step)
        shifted = {name: (x + 2).detach() for name, x in inputs.targets.items()}
        inputs = AdversaryInput(
            inputs.states, inputs.lengths, inputs.domain, inputs.predictions, shifted
        )
        output = adversary(inputs, at(step))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert output.stats["domain_acc"] == pytest.approx(1)
    assert output.stats["domain_loss"] < 0.2


def test_a_student_that_follows_the_gradient_fools_the_classifier():
    """Domain 1 sits at +1, domain 0 at -1; against a trained classifier the student unmixes."""
    torch.manual_seed(0)
    adversary = make(weight=1.0, method="alternating", classifier_steps=3)
    offset = torch.full((SIZE,), 1.0, requires_grad=True)
    optimizer = torch.optim.SGD([offset, *adversary.parameters()], lr=0.1)
    accuracies = []
    for step in range(400):
        states = torch.randn(8, 5, SIZE) * 0.1
        domain = torch.arange(8) % 2
        states = states + offset * (2 * domain - 1)[:, None, None]
        inputs = AdversaryInput({2: states}, torch.full((8,), 5), domain, {}, {})
        output = adversary(inputs, at(step))
        accuracies.append(float(output.stats["domain_acc"]))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert max(accuracies[:40]) == 1
    assert offset.abs().max() < 1


MATCHED = [options for options in ATTACHED if "domains" not in options]


@pytest.mark.parametrize("options", MATCHED)
@pytest.mark.parametrize("method", MATCHING)
@pytest.mark.parametrize("pooled", [True, False])
def test_matching_pulls_the_distorted_utterance_and_its_clean_self_together(
    options, method, pooled
):
    adversary, inputs = make(method=method, pooled=pooled, **options), with_clean(make_inputs())
    output = adversary(inputs, at(0))
    output.loss.backward()
    assert output.distill_weight == 1 and output.loss > 0
    heads = options.get("layers") == "heads"
    layers = options.get("layers", [2])
    for states, predictions in ((inputs.states, inputs.predictions), inputs.clean):
        heard_ones = predictions.values() if heads else [states[layer] for layer in layers]
        for x in heard_ones:
            of_undistorted, of_distorted = (x.grad[:5], x.grad[5:]) if heads else x.grad
            assert of_undistorted.abs().sum() == 0  # domain 0: the two views are the same
            assert of_distorted.abs().sum() > 0
        others = states.values() if heads else predictions.values()
        assert all(x.grad is None for x in others)


@pytest.mark.parametrize("method", MATCHING)
def test_matching_without_a_distorted_utterance_is_zero(method):
    adversary = make(method=method)
    inputs = replace(with_clean(make_inputs()), domain=torch.tensor([0, 0]))
    output = adversary(inputs, at(0))
    output.loss.backward()
    assert output.loss == 0
    assert len(adversary.memory.get()[0]) == 0


@pytest.mark.parametrize("method", MATCHING)
def test_matching_scales_with_lambda_and_in_evaluation_does_not(method):
    inputs = with_clean(make_inputs())
    one, none = (make(method=method, weight=weight)(inputs, at(0)) for weight in (1.0, 0.0))
    assert one.loss > 0 and none.loss == 0
    assert one.stats.keys() == AdversaryConfig(method=method).stats
    assert one.stats["domain_loss"] == none.stats["domain_loss"] == one.loss
    adversary = make(method=method, weight=0.0)
    adversary(inputs, at(0))
    before = adversary.memory.rows.clone()
    assert adversary.eval()(inputs, at(0)).loss > 0
    assert torch.equal(adversary.memory.rows, before)


@pytest.mark.parametrize("memory", [2, 4, 8, 512])
@pytest.mark.parametrize("pooled", [True, False])
def test_the_spread_is_always_that_of_both_sides(memory, pooled):
    """A batch of frames alone can be larger than the memory."""
    adversary, inputs = make(method="linear", memory=memory, pooled=pooled), make_inputs()
    inputs = replace(with_clean(inputs), domain=torch.tensor([1, 1]))
    for _ in range(3):
        adversary(inputs, at(0))
        sides = adversary.memory.get()[1].bincount(minlength=2)
        assert sides[0] == sides[1] > 0


def draw_domains(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three values to be learnt and a level, and the same distorted: with a level 3 higher."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(number, SIZE, generator=generator)
    return clean, clean + torch.tensor([0.0, 0.0, 0.0, 3.0])


def train_toy(method: str | None, steps: int = 400) -> tuple[float, float]:
    """A linear student, whose head has to find three of four values. Returns the balanced accuracy
    of a classifier fitted afresh to its states, and the squared error of the head."""
    torch.manual_seed(0)
    student, head = torch.nn.Linear(SIZE, SIZE), torch.nn.Linear(SIZE, 3)
    adversary = make(method=method, weight=1.0, memory=256) if method else None
    optimizer = torch.optim.Adam([*student.parameters(), *head.parameters()], lr=0.01)
    lengths, domain = torch.ones(32, dtype=torch.long), torch.arange(32) % 2
    for step in range(steps):
        clean, distorted = draw_domains(32, step)
        states = student(torch.where(domain[:, None] == 1, distorted, clean))
        loss = (head(states) - clean[:, :3]).square().mean()
        if adversary is not None:
            both = [{2: x[:, None]} for x in (states, student(clean))]
            inputs = AdversaryInput(both[0], lengths, domain, {}, {}, (both[1], {}))
            loss = loss + adversary(inputs, at(0)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        # Of other utterances than the clean ones: the reader has nothing but the level to go by.
        clean, distorted = draw_domains(500, 10_000)[0], draw_domains(500, 20_000)[1]
        error = (head(student(distorted)) - distorted[:, :3]).square().mean()
        sides = (student(x).numpy() for x in (clean, distorted))
        return balanced_accuracy(*sides, (range(500), range(500, 1000))), float(error)


def test_a_student_without_adversary_shows_the_domain():
    accuracy, error = train_toy(None)
    assert accuracy > 0.85 and error < 0.05


@pytest.mark.parametrize("method", MATCHING)
def test_a_classifier_fitted_afresh_cannot_tell_and_the_rest_is_still_learnt(method):
    accuracy, error = train_toy(method)
    assert accuracy < 0.6
    assert error < 0.05


def test_the_student_is_left_alone_before_the_start():
    config = AdversaryConfig(weight=0.3, ramp=10, start=0.5)
    assert ramp(0.49, config) == ramp(0.5, config) == 0
    assert ramp(0.75, config) == pytest.approx(ramp(0.5, AdversaryConfig(weight=0.3, ramp=10)))
    flat = AdversaryConfig(weight=0.3, ramp=0, start=0.5)
    assert [ramp(p, flat) for p in (0.4, 0.5, 1.0)] == [0, 0.3, 0.3]


def test_accuracy_beside_what_always_naming_the_larger_domain_yields():
    adversary = make()
    with torch.no_grad():
        for parameter in adversary.parameters():
            parameter.zero_()
        adversary.classifier[2].bias[0] = 1.0  # always the first class, of 5 frames of 7
    stats = adversary(make_inputs(), at(0)).stats
    assert stats.keys() == AdversaryConfig().stats
    for name, wanted in [("acc", 5 / 7), ("balanced_acc", 0.5), ("majority", 5 / 7)]:
        assert float(stats[f"domain_{name}"]) == pytest.approx(wanted)


def test_ramp_is_that_of_the_paper():
    config = AdversaryConfig(weight=0.3, ramp=10)
    assert ramp(0.0, config) == 0
    assert ramp(0.5, config) == pytest.approx(0.3 * (2 / (1 + math.exp(-5)) - 1))
    assert ramp(1.0, config) == pytest.approx(0.3, rel=1e-3)
    output = make(weight=0.3, ramp=10)(make_inputs(), at(500))
    assert output.stats["domain_lambda"] == pytest.approx(ramp(0.5, config))


def test_initial_weights_are_the_first_draws():
    torch.manual_seed(0)
    first, second = torch.nn.Linear(SIZE, 128), torch.nn.Linear(128, 2)
    adversary = make()
    assert torch.equal(adversary.classifier[0].weight, first.weight)
    assert torch.equal(adversary.classifier[2].weight, second.weight)


def test_domains():
    kinds = ("clean", "noise", "noise+reverb")
    assert domain_labels(kinds, AdversaryConfig()) == {"clean": 0, "noise": 1, "noise+reverb": 1}
    multi = AdversaryConfig(domains="multi")
    assert domain_labels(kinds, multi) == {"clean": 0, "noise": 1, "noise+reverb": 2}
    assert count_domains(kinds, AdversaryConfig()) == 2
    assert count_domains(kinds, multi) == 3
    assert count_domains(["clean"], multi) == 1
    assert count_domains(["clean"], AdversaryConfig(domains="student_teacher")) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domains": "three"}, "'three' is not binary, multi or student_teacher"),
        ({"method": "both"}, "'both' is not one of reversal, alternating, pairs"),
        ({"layers": "head"}, "'head' is not a list of layers or `heads`"),
        ({"layers": 2}, "2 is not a list"),
        ({"layers": []}, "is not a list"),
        ({"domains": "student_teacher", "layers": [2]}, "leave layers out"),
        ({"weight": -1}, "must not be negative"),
        ({"hidden": 0}, "must be at least 1"),
        ({"classifier_steps": 0}, "must be at least 1"),
        ({"memory": 0}, "must be at least 1"),
        ({"method": "pairs", "memory": 1}, "memory: 1 is too few: half of it is for clean"),
        ({"ridge": -0.1}, "must not be negative"),
        ({"start": 1.0}, r"start: 1.0 is not in \[0, 1\)"),
        ({"method": "pairs", "domains": "multi"}, "domains: pairs supports only `binary`"),
    ],
)
def test_refused_configurations(options, message):
    with pytest.raises(ConfigError, match=message) as error:
        from_mapping(options, AdversaryConfig, "dat_conf")
    assert str(error.value).count("dat_conf") == 1


def test_refused_layer():
    with pytest.raises(ConfigError, match=r"3 is not in 0\.\.2"):
        make(layers=[3])
