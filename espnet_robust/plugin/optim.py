"""A separate learning rate for some parameters, with any scheduler.

ESPnet passes all parameters to the optimizer in one list, and schedulers such as OneCycleLR set the
learning rate of every group. So parameters carry a factor, which is applied at each step.
"""

from collections.abc import Callable

import torch
from torch import nn

from espnet_robust.common.errors import ConfigError


def set_lr_scale(module: nn.Module, scale: float) -> None:
    """Train every parameter of ``module`` with ``scale`` times the learning rate."""
    for parameter in module.parameters():
        parameter.lr_scale = scale
        parameter.lr_scale_known = False


def check_lr_scale(module: nn.Module) -> None:
    """Raise ConfigError if a scale was set but the optimizer does not support it."""
    if not all(getattr(p, "lr_scale_known", True) for p in module.parameters()):
        raise ConfigError(
            "frontend_conf: lr_scale needs `optim: scaled_adamw`; another optimizer would ignore it"
        )


class ScaledAdamW(torch.optim.AdamW):
    """AdamW that honours ``set_lr_scale``.

    Each scale is a parameter group with ``lr_scale`` beside ``lr``; ``lr`` is the unscaled learning
    rate, which the scheduler sets.
    """

    def add_param_group(self, param_group: dict) -> None:
        params = param_group["params"]
        by_scale: dict[float, list[nn.Parameter]] = {}
        for parameter in [params] if isinstance(params, torch.Tensor) else params:
            by_scale.setdefault(getattr(parameter, "lr_scale", 1.0), []).append(parameter)
            if hasattr(parameter, "lr_scale"):
                parameter.lr_scale_known = True
        for scale, group in by_scale.items():
            super().add_param_group(param_group | {"params": group, "lr_scale": scale})

    def step(self, closure: Callable | None = None):
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] = group["lr"] * group["lr_scale"]
        try:
            return super().step(closure)
        finally:
            for group, rate in zip(self.param_groups, rates, strict=True):
                group["lr"] = rate
