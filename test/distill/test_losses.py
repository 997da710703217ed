import math
import subprocess
import sys

import pytest
import torch

from espnet_robust.common.errors import ConfigError
from espnet_robust.distill.losses import (
    AUXILIARY,
    LOSSES,
    OF_BATCH,
    check_loss_weights,
    correlation,
    cosine,
    gram,
    l1,
    mse,
    needed_views,
    vicreg,
)
from espnet_robust.distill.views import EXTRA_VIEWS

S = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
T = torch.tensor([[2.0, 0.0], [3.0, 0.0]])
LENGTHS = torch.tensor([1, 1])
FOUR = torch.tensor([4])
A, B = torch.tensor([1.0, -1.0, 1.0, -1.0]), torch.tensor([1.0, 1.0, -1.0, -1.0])  # orthogonal


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_frame_by_frame():
    assert l1(S, T, LENGTHS) == pytest.approx((1 + 0 + 3 + 2) / 4)
    assert mse(S, T, LENGTHS) == pytest.approx((1 + 0 + 9 + 4) / 4)
    # cosines 1 and 0; log sigmoid(x) = -log(1 + exp(-x))
    expected = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert cosine(S, T, LENGTHS).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        # C = identity, S = identity.
        ((A, B), (A, B), 0.0),
        # C = [[1, 1], [0, 0]]: diagonal (0 + 1) / 2, off it (1 + 0) / 2.
        ((A, B), (A, A), 1.0),
        # C = [[1, 0], [1, 0]]: 1/2 + 1/2; the student's values say the same: S_12 = 1.
        ((A, A), (A, B), 2.0),
        # C = [[-1, 0], [0, 1]]: 2^2 / 2.
        ((-A, B), (A, B), 2.0),
        # A constant value correlates with nothing: C = [[1, 0], [0, 0]].
        ((A, 0 * B), (A, B), 0.5),
    ],
)
def test_correlation(student, teacher, expected):
    s, t = torch.stack(student, 1), torch.stack(teacher, 1)
    for prediction, target in [(s, t), (3 * s + 5, 0.5 * t - 7)]:  # level and scale are no matter
        assert correlation(prediction, target, FOUR).item() == pytest.approx(expected, abs=1e-4)


def test_vicreg():
    # std^2 2 and 8, above the hinge; cov_12 = (-1 * -2 + 1 * 2) / 1 = 4.
    s, t = torch.tensor([[0.0, 0.0], [2.0, 4.0]]), torch.tensor([[0.0, 0.0], [2.0, 2.0]])
    assert vicreg(s, t, LENGTHS).item() == pytest.approx(4 / 4 + 0 + (4**2 + 4**2) / 2 / 25)
    # std^2 1/8 and 0, each with 1e-4 under the root; no covariance.
    s = torch.tensor([[0.0, 0.0], [0.5, 0.0]])
    hinge = ((1 - math.sqrt(0.1251)) + (1 - math.sqrt(1e-4))) / 2
    assert vicreg(s, s, LENGTHS).item() == pytest.approx(hinge)


def test_gram():
    s = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    t = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    # Two frames: [[1/2, 0], [0, 1/2]] against four of 1/2. One frame: 2 against 0.
    expected = (2 * (0.5**2 + 0.5**2) / 4 + 1 * 2**2) / 3
    assert gram(s, t, torch.tensor([2, 1])).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_least_at_the_teacher_and_reaches_the_student(name):
    target, lengths = draw(50, 4), torch.tensor([30, 20])
    prediction = (target + draw(50, 4, seed=1)).requires_grad_()
    far = LOSSES[name](prediction, target, lengths)
    far.backward()
    assert LOSSES[name](target, target, lengths) < far
    assert prediction.grad.abs().min() > 0


@pytest.mark.parametrize("name", ["l1", "cosine", "mse", "gram"])
def test_every_frame_weighs_the_same(name):
    """So that ranks and accumulated batches, weighed by their frames, add up to the whole."""
    prediction, target, lengths = draw(7, 3), draw(7, 3, seed=1), torch.tensor([5, 2])
    parts = zip(prediction.split([5, 2]), target.split([5, 2]), lengths.split(1), strict=True)
    alone = sum(n.item() * LOSSES[name](s, t, n) for s, t, n in parts) / 7
    torch.testing.assert_close(LOSSES[name](prediction, target, lengths), alone)


@pytest.mark.parametrize("name", LOSSES)
def test_one_frame_is_no_nan(name):
    prediction = draw(1, 4).requires_grad_()
    loss = LOSSES[name](prediction, draw(1, 4, seed=1), torch.tensor([1]))
    loss.backward()
    assert loss.isfinite() and prediction.grad.isfinite().all()


@pytest.mark.parametrize(
    "weights",
    [
        {"l2": 1.0},
        {},
        {"l1": 0.0},
        {"l1": -1.0},
        {"denoise": 1.0},
        {"l1": 1.0, "denoise": -1.0},
        {"l1": "1e-1"},
        {"l1": math.nan},
        {"l1": 1.0, "mse": math.inf},
        {"l1": None},
        None,
    ],
)
def test_refused_weights(weights):
    with pytest.raises(ConfigError, match="loss_conf"):
        check_loss_weights(weights)


def test_auxiliary_losses_need_views_that_there_are():
    for loss in AUXILIARY.values():
        assert set(loss.needs) <= set(EXTRA_VIEWS)
    assert needed_views({"l1": 1.0}) == frozenset()
    assert needed_views({"l1": 1.0, "denoise": 0.1}) == {"clean_speech"}


# One of two processes: for each loss, the loss and the gradient of its share of 12 frames, weighed
# as the trainer weighs it.
PROCESS = """
import sys, torch
from espnet_robust.distill.losses import LOSSES, OF_BATCH
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
given, found = torch.load(f"{folder}/given.pt"), {}
for first in (7, 12):  # frames of the first process
    frames = slice(0, first) if rank == 0 else slice(first, 12)
    for name in OF_BATCH:
        own = given["prediction"][frames].clone().requires_grad_()
        loss = LOSSES[name](own, given["target"][frames], torch.tensor([len(own)]))
        (loss * len(own) / 12).backward()
        found[f"{name} {first}"] = {"loss": loss.detach(), "grad": own.grad}
torch.save(found, f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """(prediction, target, what each of two processes found)."""
    folder = tmp_path_factory.mktemp("shared")
    given = {"prediction": draw(12, 3).mul(0.5), "target": draw(12, 3, seed=1)}
    torch.save(given, folder / "given.pt")
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(folder)]) for rank in (0, 1)
    ]
    assert [process.wait(300) for process in processes] == [0, 0]
    return *given.values(), [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("first", [7, 12])  # 12: nothing is left for the second process
@pytest.mark.parametrize("name", OF_BATCH)
def test_statistics_are_those_of_the_whole_batch(shared, name, first):
    prediction, target, found = shared
    prediction = prediction.clone().requires_grad_()
    loss = LOSSES[name](prediction, target, torch.tensor([12]))
    loss.backward()
    own = [one[f"{name} {first}"] for one in found]
    for one in own:
        torch.testing.assert_close(one["loss"], loss.detach(), atol=1e-6, rtol=1e-6)
    together = torch.cat([one["grad"] for one in own])
    torch.testing.assert_close(together, prediction.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", OF_BATCH)
def test_the_gradient_is_that_of_the_formula(name):
    """The mean over the batch is taken as constant; finite differences do not know that."""
    prediction, target = draw(9, 3).double(), draw(9, 3, seed=1).double()
    lengths = torch.tensor([9])
    torch.autograd.gradcheck(
        lambda x: LOSSES[name](x, target, lengths), prediction.mul(0.5).requires_grad_()
    )
