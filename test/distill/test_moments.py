import pytest
import torch

from espnet_robust.distill.moments import KERNELS, MATCHING, WHITENED, Sides, fit_spread, mismatch

SIZE, NUMBER = 6, 400


def draw(seed: int, shift: float = 0.0, spread: float = 1.0, number: int = NUMBER):
    """Features of the same utterances distorted and clean: the first is shifted, or spread."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(number, SIZE, generator=generator)
    distorted = clean.clone()
    distorted[:, 0] = distorted[:, 0] * spread + shift
    return distorted, clean


def value(method: str, distorted, clean, ridge: float = 0.0) -> torch.Tensor:
    rows = torch.cat([clean, distorted]).detach()
    sides = torch.arange(2).repeat_interleave(len(clean))
    spread = fit_spread(method, rows, sides, ridge)
    x, c = spread(distorted), spread(clean)
    batch = Sides(x.detach(), c.detach(), torch.full((len(x),), 1 / len(x)))
    return mismatch(method, x, c, batch).mean()


@pytest.mark.parametrize("method", MATCHING)
def test_it_is_zero_where_nothing_is_distorted_and_grows_with_the_shift(method):
    none, small, large = (float(value(method, *draw(0, shift=s))) for s in (0.0, 0.5, 1.5))
    assert none == pytest.approx(0, abs=1e-6)
    assert 0 < 4 * small < large


@pytest.mark.parametrize("method", ["pairs", "linear"])
def test_a_shift_alone_is_the_squared_distance_of_the_means(method):
    # Whitened within the sides, over D values: (2 / 1)^2 / 6.
    assert float(value(method, *draw(0, shift=2.0))) == pytest.approx(4 / 6, rel=0.1)


def test_who_sees_what_leaves_the_mean_in_its_place():
    seen = {m: float(value(m, *draw(0, spread=3.0))) for m in MATCHING}
    assert seen["linear"] < 0.01
    assert min(seen[m] for m in ("pairs", "coral", "mmd")) > 20 * abs(seen["linear"])
    # Two sides of the same distribution whose utterances do not belong together.
    swapped = draw(0)[0].flip(0), draw(0)[1]
    seen = {m: float(value(m, *swapped)) for m in MATCHING}
    assert seen["pairs"] > 1
    assert all(abs(seen[m]) < 1e-5 for m in KERNELS)


@pytest.mark.parametrize("method", WHITENED)
def test_the_scale_of_a_value_does_not_matter(method):
    distorted, clean = draw(0, shift=1.0)
    scale = torch.tensor([100.0, 1, 0.01, 1, 1, 1])
    plain, scaled = value(method, distorted, clean), value(method, distorted * scale, clean * scale)
    torch.testing.assert_close(plain, scaled, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", WHITENED)
def test_ridge_distrusts_directions_in_which_little_varies(method):
    # Two values that are nearly the same: their difference, hardly varying, is what is shifted.
    distorted, clean = draw(0)
    for side in (distorted, clean):
        side[:, 1] = side[:, 0] + 0.05 * side[:, 1]
    distorted = distorted + torch.tensor([0, 0.2, 0, 0, 0, 0])
    assert value(method, distorted, clean, ridge=0.1) < 0.1 * value(method, distorted, clean)


@pytest.mark.parametrize("method", MATCHING)
def test_descent_makes_the_sides_alike(method):
    offset = torch.zeros(SIZE, requires_grad=True)
    lr = {"pairs": 1.0, "linear": 1.0, "coral": 1.0, "mmd": 5.0}[method]
    optimizer = torch.optim.SGD([offset], lr=lr)
    for step in range(150):
        distorted, clean = draw(step, shift=2.0, number=100)
        optimizer.zero_grad()
        value(method, distorted + offset, clean, 0.1).backward()
        optimizer.step()
    assert float(offset.detach()[0]) == pytest.approx(-2, abs=0.1)
    assert offset.detach()[1:].abs().max() < 0.1


@pytest.mark.parametrize("method", MATCHING)
def test_gradient_against_finite_differences(method):
    distorted, clean = draw(0, shift=1.0, number=12)
    spread = fit_spread(method, torch.cat([clean, distorted]), torch.arange(24) // 12, 0.1)
    batch = Sides(spread(distorted), spread(clean), torch.full((12,), 1 / 12))

    def loss(x: torch.Tensor) -> torch.Tensor:
        return mismatch(method, spread(x), spread(clean), batch).sum()

    x = distorted.clone().requires_grad_()
    loss(x).backward()
    for index in ((0, 0), (3, 2), (7, 5)):
        step = torch.zeros_like(distorted)
        step[index] = 1e-2
        slope = float(loss(distorted + step) - loss(distorted - step)) / 2e-2
        assert float(x.grad[index]) == pytest.approx(slope, rel=2e-2, abs=1e-3)


@pytest.mark.parametrize("method", MATCHING)
def test_constant_values_and_equal_utterances_are_no_trouble(method):
    distorted, clean = draw(0, number=3)
    distorted[:, 1] = clean[:, 1] = 3.0
    distorted[1] = distorted[0]
    x = distorted.requires_grad_()
    value(method, x, clean, 0.1).backward()
    assert x.grad.isfinite().all()
