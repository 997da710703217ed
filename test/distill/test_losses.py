import math

import pytest
import torch

from espnet_robust.distill.losses import check_loss_weights, cosine, l1, mse, valid_frames
from espnet_robust.errors import ConfigError

S = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
T = torch.tensor([[2.0, 0.0], [3.0, 0.0]])
LENGTHS = torch.tensor([1, 1])


def test_by_hand():
    assert l1(S, T, LENGTHS) == pytest.approx((1 + 0 + 3 + 2) / 4)
    assert mse(S, T, LENGTHS) == pytest.approx((1 + 0 + 9 + 4) / 4)
    # cosines 1 and 0; log sigmoid(x) = -log(1 + exp(-x))
    assert cosine(S, T, LENGTHS).item() == pytest.approx(
        (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    )


def test_padding_never_counts():
    states = torch.arange(12.0).view(2, 3, 2)
    kept = valid_frames(states, torch.tensor([3, 1]))
    assert kept.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize("weights", [{"l2": 1.0}, {}, {"l1": 0.0}, {"l1": -1.0}])
def test_refused_weights(weights):
    with pytest.raises(ConfigError, match="loss_conf"):
        check_loss_weights(weights)
