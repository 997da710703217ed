"""Whether what a YAML gives as a number is one."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from espnet_robust.common.errors import ConfigError


def check_numbers(
    given: Mapping[str, Any], names: Iterable[str], whole: bool = False, where: str = ""
) -> None:
    """Check that these values are finite, or whole, numbers. Their ranges are the caller's.

    Raises:
        ConfigError: one is not; the message begins with ``where`` and its name.
    """
    for name in names:
        value = given[name]
        is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not is_number or (isinstance(value, float) and not math.isfinite(value)):
            # Without a dot it is text to PyYAML.
            hint = "; in YAML, write 1e-3 as 0.001 or 1.0e-3" if isinstance(value, str) else ""
            kind = "whole" if whole else "finite"
            raise ConfigError(f"{where}{name}: must be a {kind} number, got {value!r}{hint}")
