import torch

from espnet_robust.models.running_mean import minus_running_mean
from espnet_robust.plugin.running_mean import RunningMean


def test_by_hand():
    out, state = minus_running_mean(torch.tensor([[[2.0], [4.0], [0.0]]]))
    assert out.flatten().tolist() == [0, 1, -2]  # means 2, 3, 2
    assert state.tolist() == [[[6, 3]]]


def test_in_parts_after_an_hour_of_a_large_offset():
    x = torch.randn(1, 200, 3, generator=torch.Generator().manual_seed(0)) + 30
    hour = torch.tensor([[[30.0 * 180000] * 3 + [180000]]], dtype=torch.float64)
    whole, end = minus_running_mean(x, hour)
    parts, state = [], hour
    for part in x.split(17, 1):
        out, state = minus_running_mean(part, state)
        parts.append(out)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-6)
    torch.testing.assert_close(state, end)
    torch.testing.assert_close(whole, x - 30, rtol=0, atol=1e-2)


def test_in_espnet_padding_changes_nothing_and_stays_zero():
    x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    out, lengths = RunningMean()(x, torch.tensor([9, 5]))
    assert lengths.tolist() == [9, 5] and not out[1, 5:].any()
    torch.testing.assert_close(out[1, :5], RunningMean()(x[1:, :5])[0][0])
