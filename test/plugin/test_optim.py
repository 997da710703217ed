import copy

import pytest
import torch
from espnet2.optimizers.optim_groups import configure_optimizer
from torch import nn

from espnet_robust.common.errors import ConfigError
from espnet_robust.plugin.optim import ScaledAdamW, check_lr_scale, set_lr_scale

LR, STEPS = 0.01, 6


def model():
    """0: the pretrained half, 1: the half that stands on it."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))


def schedule(optimizer, max_lr):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=max_lr, total_steps=STEPS)


def train(module, optimizers, schedulers, steps=range(STEPS)):
    for step in steps:
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        for optimizer in optimizers:
            optimizer.zero_grad()
        module(x).square().sum().backward()
        for stepped in (*optimizers, *schedulers):
            stepped.step()


def test_a_scale_is_another_learning_rate():
    ours, expected = model(), model()
    set_lr_scale(ours[0], 0.1)
    optimizer = ScaledAdamW(ours.parameters(), lr=LR, weight_decay=0.1)
    train(ours, [optimizer], [schedule(optimizer, LR)])
    two = [
        torch.optim.AdamW(half.parameters(), lr=lr, weight_decay=0.1)
        for half, lr in zip(expected, (LR / 10, LR), strict=True)
    ]
    train(expected, two, [schedule(two[0], LR / 10), schedule(two[1], LR)])
    for a, b in zip(ours.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert not torch.equal(ours[0].weight, model()[0].weight)


def test_resuming_goes_on_with_it():
    straight, resumed = model(), model()
    for module in (straight, resumed):
        set_lr_scale(module[0], 0.1)
    optimizer = ScaledAdamW(straight.parameters(), lr=LR)
    train(straight, [optimizer], [], range(2))
    resumed.load_state_dict(straight.state_dict())
    again = ScaledAdamW(resumed.parameters(), lr=LR)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(straight, [optimizer], [], range(2, 4))
    train(resumed, [again], [], range(2, 4))
    assert all(map(torch.equal, straight.parameters(), resumed.parameters()))


def test_beside_espnets_groups_without_weight_decay():
    module = model()
    set_lr_scale(module[0], 0.1)
    optimizer = configure_optimizer(module, ScaledAdamW, {"lr": LR, "weight_decay": 0.5}, {})
    groups = {(g["lr_scale"], g["weight_decay"]): g["params"] for g in optimizer.param_groups}
    assert groups.keys() == {(0.1, 0.5), (1.0, 0.5), (0.1, 0.0), (1.0, 0.0)}
    assert groups[0.1, 0.0] == [module[0].bias]


def test_an_optimizer_that_does_not_heed_it_is_refused():
    module = model()
    check_lr_scale(module)
    set_lr_scale(module[0], 0.1)
    torch.optim.AdamW(module.parameters())
    with pytest.raises(ConfigError, match="lr_scale needs `optim: scaled_adamw`"):
        check_lr_scale(module)
    ScaledAdamW(module.parameters())
    check_lr_scale(module)
