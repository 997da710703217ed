"""The numbers that an option in YAML may have."""

import sys
from dataclasses import dataclass
from typing import Any

from espnet_robust.common.errors import ConfigError

_FINITE = sys.float_info.max


@dataclass(frozen=True)
class Range:
    """The numbers that an option may have.

    Attributes:
        low: the lowest; itself allowed unless ``above``.
        high: the highest.
        whole: whether it must be a whole number.
    """

    low: float
    high: float = _FINITE
    whole: bool = True
    above: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise ConfigError if ``value`` is not in the range."""
        kinds = int if self.whole else (int, float)
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        if is_number and self.low <= value <= self.high and not (self.above and value == self.low):
            return
        what = f"a {'whole ' * self.whole}number"
        bounds = f"above {self.low}" if self.above else f"of at least {self.low}"
        bounds += f" and at most {self.high}" if self.high < _FINITE else ""
        # Without a dot it is text to PyYAML.
        hint = "; in YAML, write 1e-3 as 0.001 or 1.0e-3" if isinstance(value, str) else ""
        raise ConfigError(f"{name}: must be {what} {bounds}, got {value!r}{hint}")
