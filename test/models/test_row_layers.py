"""Layers of each row against the library's on that row alone."""

import copy

import pytest
import torch
from torch import nn

from espnet_robust.models.row_layers import RowBatchNorm, RowGroupNorm, use_row_layers
from espnet_robust.models.speech_model import load_teacher

from ..conftest import KINDS

FRAMES = torch.tensor([50, 37, 4])


@pytest.mark.parametrize("groups", [8, 2])
def test_values_and_gradients_are_those_of_a_row_alone(groups):
    torch.manual_seed(0)
    theirs = nn.GroupNorm(groups, 8)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours = use_row_layers(copy.deepcopy(theirs))
    assert type(ours) is RowGroupNorm and ours.state_dict().keys() == theirs.state_dict().keys()
    x = 5 + torch.randn(3, 8, 50)  # a mean that is large beside the deviation
    given = x.clone().requires_grad_()
    ours.frames = FRAMES
    out = ours(given)
    for i, n in enumerate(FRAMES.tolist()):
        alone = x[i : i + 1, :, :n].clone().requires_grad_()
        torch.testing.assert_close(out[i : i + 1, :, :n], theirs(alone), atol=1e-5, rtol=1e-5)
        weights = torch.randn(8, n, generator=torch.Generator().manual_seed(i))
        (row,) = torch.autograd.grad((out[i, :, :n] * weights).sum(), given, retain_graph=True)
        (want,) = torch.autograd.grad((theirs(alone)[0] * weights).sum(), alone)
        torch.testing.assert_close(row[i, :, :n], want[0], atol=1e-5, rtol=1e-4)
        assert not row[i, :, n:].any()
    ours.frames = None
    assert torch.equal(ours(x), theirs(x))


def test_stays_float32_under_autocast():
    norm = use_row_layers(nn.GroupNorm(8, 8))
    norm.frames = torch.tensor([50])
    with torch.autocast("cpu", torch.bfloat16):
        assert norm(torch.randn(1, 8, 50, dtype=torch.bfloat16)).dtype == torch.float32


def test_batch_norm_in_training_counts_valid_frames():
    torch.manual_seed(0)
    theirs = nn.BatchNorm1d(8)
    ours = use_row_layers(copy.deepcopy(theirs))
    assert type(ours) is RowBatchNorm
    x = 5 + torch.randn(3, 8, 50)
    ours.frames = FRAMES
    out = ours(x)
    rows = [x[i, :, :n] for i, n in enumerate(FRAMES.tolist())]
    want = theirs(torch.cat(rows, 1)[None])[0].split(FRAMES.tolist(), 1)
    for i, n in enumerate(FRAMES.tolist()):
        torch.testing.assert_close(out[i, :, :n], want[i], atol=1e-5, rtol=1e-5)
        assert not out[i, :, n:].any()
    torch.testing.assert_close(ours.running_var, theirs.running_var)


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_that_differ_share_one_pass(teacher_dirs, batch, kind):
    model = load_teacher(teacher_dirs[kind])
    passes = []
    model.encoder.register_forward_hook(lambda *a: passes.append(1))
    model(*batch)
    assert len(passes) == 1
