import math

import pytest
import torch

from espnet_robust.distill.adversary import (
    Adversary,
    AdversaryConfig,
    domain_labels,
    ramp,
    reverse_gradient,
)
from espnet_robust.errors import ConfigError

LENGTHS = torch.tensor([5, 2])
DOMAIN = torch.tensor([0, 1])


def student_gradient(weight: float, **options) -> torch.Tensor:
    """Gradient that reaches the student's states at full progress, ramp off."""
    torch.manual_seed(0)
    adversary = Adversary(4, 2, 2, AdversaryConfig(weight=weight, ramp=0, **options))
    states = torch.randn(2, 5, 4, requires_grad=True)
    adversary({2: states}, LENGTHS, DOMAIN, 1.0)[0].backward()
    return states.grad


def test_gradient_reaches_the_student_reversed_and_scaled_by_lambda():
    one, two = student_gradient(1.0), student_gradient(2.0)
    assert one.abs().sum() > 0
    torch.testing.assert_close(two, 2 * one)
    x = torch.ones(3, requires_grad=True)
    reverse_gradient(x, 0.5).sum().backward()
    assert x.grad.tolist() == [-0.5] * 3


@pytest.mark.parametrize("pooled", [True, False])
def test_padding_gets_no_gradient_and_has_no_say(pooled):
    gradient = student_gradient(1.0, pooled=pooled)
    assert gradient[1, 2:].abs().sum() == 0
    assert gradient[1, :2].abs().sum() > 0


def test_lambda_zero_leaves_the_student_alone():
    assert student_gradient(0.0).abs().sum() == 0


def test_the_classifier_itself_is_trained_forwards():
    torch.manual_seed(0)
    adversary = Adversary(4, 2, 2, AdversaryConfig(weight=0.0))
    states = torch.randn(2, 5, 4)
    optimizer = torch.optim.SGD(adversary.parameters(), lr=1.0)
    before, _ = adversary({2: states}, LENGTHS, DOMAIN, 0.5)
    before.backward()
    optimizer.step()
    assert adversary({2: states}, LENGTHS, DOMAIN, 0.5)[0] < before


def test_ramp_is_that_of_the_paper():
    config = AdversaryConfig(weight=0.3, ramp=10)
    assert ramp(0.0, config) == 0
    assert ramp(0.5, config) == pytest.approx(0.3 * (2 / (1 + math.exp(-5)) - 1))
    assert ramp(1.0, config) == pytest.approx(0.3, rel=1e-3)


def test_domains():
    kinds = ("clean", "noise", "noise+reverb")
    assert domain_labels(kinds, AdversaryConfig()) == {"clean": 0, "noise": 1, "noise+reverb": 1}
    multi = domain_labels(kinds, AdversaryConfig(domains="multi"))
    assert multi == {"clean": 0, "noise": 1, "noise+reverb": 2}


def test_refused_configurations():
    with pytest.raises(ConfigError, match="binary or multi"):
        AdversaryConfig(domains="three")
    with pytest.raises(ConfigError, match=r"3 is not in 0\.\.2"):
        Adversary(4, 2, 2, AdversaryConfig(layers=[3]))
