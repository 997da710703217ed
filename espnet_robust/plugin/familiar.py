"""``freeze_param`` as written for ESPnet's s3prl frontend.

``freeze_param: [frontend.upstream]`` is understood if it asks for what ``freeze: true`` does too.
"""

import argparse
import logging

from torch import nn

from espnet_robust.common.errors import ConfigError

UPSTREAM = "frontend.upstream"  # what the s3prl frontend calls its model
OURS = "frontend.speech_model"


def check_freeze_param(args: argparse.Namespace, model: nn.Module, freeze: bool) -> None:
    """Check ``freeze_param`` for a parameter of the frontend that does not exist.

    Args:
        freeze: the frontend's ``freeze``.

    Raises:
        ConfigError: there is one, and ``freeze`` does not freeze the model anyway.
    """
    names = [name for name, _ in model.named_parameters()]
    for given in args.freeze_param:
        hit = any(name == given or name.startswith(f"{given}.") for name in names)
        if hit or given.split(".")[0] != "frontend":
            continue
        if freeze and (given == UPSTREAM or given.startswith(f"{UPSTREAM}.")):
            logging.warning(f"freeze_param: {given} is {OURS} here, frozen by `freeze: true`")
            continue
        raise ConfigError(
            f"freeze_param: frontend robust_student has no {given}, its model is {OURS}; "
            "`freeze: true` in frontend_conf freezes all of it"
        )
