"""Our linear layers against the library's."""

import copy

import pytest
import torch
from torch import nn

from espnet_robust.models.onednn import choice, linear
from espnet_robust.models.onednn.linear import Linear, use_fast_linear


def pair(bias: bool = True) -> tuple[nn.Linear, Linear]:
    torch.manual_seed(0)
    theirs = nn.Linear(24, 40, bias=bias)
    ours = copy.deepcopy(theirs)
    use_fast_linear(ours)
    assert type(ours) is Linear and type(theirs) is nn.Linear
    return theirs, ours


@pytest.fixture
def products(monkeypatch):
    """Counts the calls of oneDNN, which is used even where it is not faster."""
    calls = []
    monkeypatch.setattr(choice, "_current", choice.Choice(choice.ONEDNN, "to be tested"))
    product = linear._product
    monkeypatch.setattr(linear, "_product", lambda *a: calls.append(1) or product(*a))
    return calls


@pytest.mark.skipif(not linear.AVAILABLE, reason="torch without oneDNN and MKL")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(24,), (7, 24), (3, 50, 24)])
def test_values_and_gradients_are_the_librarys(bias, shape, products):
    theirs, ours = pair(bias)
    x = torch.randn(shape)
    results = []
    for layer in (theirs, ours):
        given = x.clone().requires_grad_()
        out = layer(given)
        out.transpose(0, -1).sin().sum().backward()  # a gradient that does not lie in a row
        results.append([out, given.grad, *(p.grad for p in layer.parameters())])
    assert len(products) == 3  # forwards, and the gradients of input and weight
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(b, a, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(not linear.AVAILABLE, reason="torch without oneDNN and MKL")
def test_a_row_depends_on_no_other(products):
    _, ours = pair()
    x = torch.randn(64, 24)
    torch.testing.assert_close(ours(x)[5:6], ours(x[5:6]), atol=1e-6, rtol=0)


@pytest.mark.skipif(not linear.AVAILABLE, reason="torch without oneDNN and MKL")
def test_frozen_layers_pass_the_gradient_on(products):
    _, ours = pair()
    ours.requires_grad_(False)
    x = torch.randn(5, 24, requires_grad=True)
    ours(x).sum().backward()
    torch.testing.assert_close(x.grad, ours.weight.sum(0).expand(5, 24))
    assert ours.weight.grad is None and len(products) == 2


def test_where_the_library_does_it(products):
    theirs, ours = pair()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(torch.ones(2, 24)), theirs(torch.ones(2, 24)))
    assert ours(torch.zeros(0, 24)).shape == (0, 40)
    wide = torch.randn(3, 24, dtype=torch.float64)
    assert torch.equal(copy.deepcopy(ours).double()(wide), copy.deepcopy(theirs).double()(wide))
    traced = torch.jit.trace(ours, torch.randn(2, 24), check_trace=False)
    assert torch.equal(traced(torch.ones(5, 24)), theirs(torch.ones(5, 24)))
    exported = torch.export.export(ours, (torch.ones(2, 24),))
    assert "aten.linear" in str(exported.graph) and "mkldnn" not in str(exported.graph)
    assert not products


def test_where_torchs_is_as_fast(products, monkeypatch):
    theirs, ours = pair()
    monkeypatch.setattr(choice, "_current", choice.Choice(choice.TORCH, "as fast"))
    x = torch.randn(50, 24)
    assert torch.equal(ours(x), theirs(x)) and not products


def test_checkpoints_fit_both(teacher):
    layers = [m for m in teacher.modules() if isinstance(m, nn.Linear)]
    assert layers and all(type(layer) is Linear for layer in layers)
    theirs, ours = pair()
    assert list(ours.state_dict()) == list(theirs.state_dict())
