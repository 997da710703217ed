"""Adapters that ESPnet puts into a frozen model (``use_adapter: true``, ``adapter: lora``).

ESPnet replaces layers after the frontend was built: a frozen model then has parameters that train.
It may leave what is frozen out of checkpoints (``save_strategy``), and then reads them as if they
were whole; our frontend reads what is left out of it from where it came.
"""

from collections.abc import Collection
from pathlib import Path

from torch import nn

from espnet_robust.common.errors import ConfigError, ModelError


def check_adapter(model: nn.Module, adapter: str, frontend: type) -> None:
    """ConfigError where ESPnet cannot put ``adapter`` into ``frontend``, which is ours."""
    if adapter == "houlsby" and any(isinstance(m, frontend) for m in model.modules()):
        raise ConfigError(
            "adapter: houlsby works with ESPnet's s3prl frontend only; write `adapter: lora` and "
            "`adapter_conf: {target_modules: [q_proj, v_proj]}`"
        )


def unmerge(module: nn.Module) -> None:
    """Say that the weights of LoRA's layers are those of the frozen model, without its product.

    ESPnet saves them with it, and makes models that expect them so.
    """
    for m in module.modules():
        if getattr(m, "merged", False):
            m.merged = False


def check_whole(model: nn.Module, keys: Collection[str], path: Path, frontend: type) -> None:
    """Look at what ESPnet has read a model with adapters from.

    Args:
        keys: of the checkpoint ``path``.
        frontend: ours, which looks at its own.

    Raises:
        ModelError: weights of the model are not in it, and so are as they were drawn.
    """
    ours = tuple(f"{n}." for n, m in model.named_modules() if isinstance(m, frontend))
    lacking = [k for k in model.state_dict() if k not in keys and not k.startswith(ours)]
    if ours and lacking:
        raise ModelError(
            f"{path}: lacks {len(lacking)} weights of the model, first {lacking[0]}; train "
            "adapters with `save_strategy: all`"
        )


def adapters(module: nn.Module) -> list[nn.Module]:
    """The modules within a frozen one that have parameters of their own to train."""
    return [m for m in module.modules() if any(p.requires_grad for p in m.parameters(False))]


def eval_but(module: nn.Module, spared: list[nn.Module]) -> None:
    """``module.eval()`` that leaves ``spared`` and what is in them as they are.

    By attribute: ``eval()`` of an adapter merges it into the weight that it adapts.
    """
    kept = {id(m) for one in spared for m in one.modules()}
    for m in module.modules():
        if id(m) not in kept:
            m.training = False
