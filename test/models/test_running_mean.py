import pytest
import torch

from espnet_robust.common.errors import ConfigError
from espnet_robust.models.running_mean import WINDOW, minus_running_mean
from espnet_robust.plugin.running_mean import LEAST, RunningMean


def noise(frames: int, size: int = 3) -> torch.Tensor:
    return torch.randn(1, frames, size, generator=torch.Generator().manual_seed(0))


def test_by_hand():
    out, state = minus_running_mean(torch.tensor([[[2.0], [4.0], [0.0]]]))
    assert out.flatten().tolist() == [0, 1, -2]  # means 2, 3, 2
    assert state.tolist() == [[[6, 3]]]


def test_beyond_the_window_by_hand():
    """A window of 2: the weights of the past are halved."""
    out, state = minus_running_mean(torch.tensor([[[2.0], [4.0], [1.0], [1.0]]]), window=2)
    assert out.flatten().tolist() == [0, 1, -1, -0.5]  # means 2, 3, 2, 1.5
    assert state.tolist() == [[[3, 2]]]


def test_within_the_window_it_is_the_mean_of_all_frames():
    x = noise(WINDOW)
    means = x.double().cumsum(1) / torch.arange(1, WINDOW + 1)[:, None]
    assert torch.equal(minus_running_mean(x)[0], (x - means).float())


def test_in_parts_over_a_large_offset():
    x = noise(20_000) + 30
    whole, end = minus_running_mean(x)
    parts, state = [], None
    for part in x.split(1700, 1):
        out, state = minus_running_mean(part, state)
        parts.append(out)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-6)
    torch.testing.assert_close(state, end)
    torch.testing.assert_close(whole[:, WINDOW:], x[:, WINDOW:] - 30, rtol=0, atol=0.2)


def test_a_change_of_channel_is_forgotten_after_an_hour_as_after_a_minute():
    def left_after_a_window(frames: int) -> float:
        """How much of an offset is left a window after it has gone."""
        x = torch.cat([torch.ones(1, frames, 1), torch.zeros(1, WINDOW, 1)], 1)
        return -minus_running_mean(x)[0][0, -1].item()

    assert left_after_a_window(3000) == pytest.approx(left_after_a_window(180_000))
    assert left_after_a_window(3000) == pytest.approx(torch.e**-1, abs=1e-3)


def test_in_espnet_padding_changes_nothing_and_stays_zero():
    x = torch.randn(2, 90, 4, generator=torch.Generator().manual_seed(0))
    norm = RunningMean(window=50)
    out, lengths = norm(x, torch.tensor([90, 75]))
    assert lengths.tolist() == [90, 75] and not out[1, 75:].any()
    torch.testing.assert_close(out[1, :75], norm(x[1:, :75])[0][0])
    assert not torch.equal(out[0], RunningMean()(x)[0][0])


def test_the_smallest_window_holds_ten_minutes():
    out, _ = RunningMean(window=LEAST)(torch.ones(1, 30_000, 2))
    assert out.isfinite().all()


@pytest.mark.parametrize("window", [1, 49, 2.5, "20"])
def test_a_window_that_is_none(window):
    with pytest.raises(ConfigError, match=f"normalize_conf: window: {window!r}: need a whole"):
        RunningMean(window)
