"""Adapters that ESPnet inserts into a frozen model (``use_adapter: true``, ``adapter: lora``).

ESPnet replaces layers after the frontend is built, so a frozen model then has trainable parameters.
It may leave frozen weights out of checkpoints (``save_strategy``), but loads them as if they were
complete; our frontend loads its missing weights from their original source.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from espnet_robust.common.errors import ConfigError, ModelError

# A WavLMAttention reads the weights of these layers and never calls them, so LoRA would not train.
NOT_CALLED = ("q_proj", "k_proj", "v_proj", "out_proj")


def check_adapter(model: nn.Module, adapter: str, conf: Mapping[str, Any], frontend: type) -> None:
    """Raise ConfigError if ESPnet cannot insert ``adapter`` into our ``frontend``.

    Args:
        conf: ESPnet's ``adapter_conf``; ``target_modules`` are the ends of names of layers.
    """
    targets = tuple(conf.get("target_modules", ())) if adapter == "lora" else ()
    for name, module in model.named_modules():
        if type(module).__name__ == "WavLMAttention":
            ignored = [one for one in NOT_CALLED if f"{name}.{one}".endswith(targets)]
            if ignored:
                raise ConfigError(
                    f"adapter_conf: target_modules: WavLM never calls {', '.join(ignored)}, so "
                    "LoRA would not train; write `target_modules: [intermediate_dense, "
                    "output_dense]`"
                )
    if adapter == "houlsby" and any(isinstance(m, frontend) for m in model.modules()):
        raise ConfigError(
            "adapter: houlsby works with ESPnet's s3prl frontend only; write `adapter: lora` and "
            "`adapter_conf: {target_modules: [q_proj, v_proj]}`"
        )


def unmerge(module: nn.Module) -> None:
    """Mark the weights of LoRA layers as those of the frozen model, with no adapter merged in.

    ESPnet saves merged weights, and builds models that expect merged ones.
    """
    for m in module.modules():
        if getattr(m, "merged", False):
            m.merged = False


def check_whole(model: nn.Module, keys: Collection[str], path: Path, frontend: type) -> None:
    """Check that the checkpoint of a model with adapters has all weights.

    Args:
        keys: the keys of the checkpoint ``path``.
        frontend: our frontend class, which checks its own weights.

    Raises:
        ModelError: the checkpoint lacks weights, which therefore have their random initial values.
    """
    ours = tuple(f"{n}." for n, m in model.named_modules() if isinstance(m, frontend))
    lacking = [k for k in model.state_dict() if k not in keys and not k.startswith(ours)]
    if ours and lacking:
        raise ModelError(
            f"{path}: lacks {len(lacking)} weights of the model, first {lacking[0]}; train "
            "adapters with `save_strategy: all`"
        )


def adapters(module: nn.Module) -> list[nn.Module]:
    """The modules within a frozen one that have trainable parameters of their own."""
    return [m for m in module.modules() if any(p.requires_grad for p in m.parameters(False))]


def eval_but(module: nn.Module, spared: list[nn.Module]) -> None:
    """``module.eval()`` for everything but the modules ``spared`` and their children.

    It sets the attribute, because ``eval()`` of an adapter merges it into the weight it adapts.
    """
    kept = {id(m) for one in spared for m in one.modules()}
    for m in module.modules():
        if id(m) not in kept:
            m.training = False
