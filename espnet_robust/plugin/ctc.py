"""``ctc_conf: {blank_bias: 6}``: a CTC layer that begins with blanks.

With ESPnet's initial weights every token is as likely as the blank. A recogniser of streams then
learned to output the likeliest first words of any sentence in its first frames, before they are
spoken, and never unlearned it (conf/device/RESULTS.md). If the blank is likelier at first, a token
comes where its sound does. A recogniser that hears the whole utterance knows the first words by
then, but learns sooner too (egs/mini/asr1/RESULTS.md, The demo).
"""

import inspect
from types import ModuleType

import torch
from espnet2.asr.ctc import CTC

from espnet_robust.common.errors import ConfigError

BLANK = 0  # in every ESPnet model


class BlankBiasCTC(CTC):
    """ESPnet's CTC with one more option.

    Args:
        blank_bias: what is added to the blank's initial bias; loaded weights replace it, and so
            does ESPnet's ``init``.

    Raises:
        ConfigError: it is not a number.
    """

    # The defaults that ESPnet writes into every configuration: without our option, so that models
    # trained without it load in an ESPnet without us.
    __signature__ = inspect.signature(CTC)

    def __init__(self, *args, blank_bias: float = 0.0, **kwargs):
        super().__init__(*args, **kwargs)
        if type(blank_bias) not in (int, float):
            raise ConfigError(f"ctc_conf: blank_bias: {blank_bias!r}: need a number")
        with torch.no_grad():
            self.ctc_lo.bias[BLANK] += blank_bias


def add_blank_bias(module: ModuleType) -> None:
    """Let the models that a task's module builds have the option. Idempotent."""
    if getattr(module, "CTC", None) is CTC:
        module.CTC = BlankBiasCTC  # type: ignore[attr-defined]
