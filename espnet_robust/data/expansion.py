"""The copies that one condition of a protocol asks for. Light: options are checked with it."""

from collections.abc import Mapping
from typing import Any

from espnet_robust.common.errors import ConfigError


def expand(name: str, body: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(name, body) of each copy that a condition of a protocol asks for.

    ``each_snr_db: [20, 10]`` asks for NAME_snr20 and NAME_snr10 with the ``snr_db`` in their names.

    Raises:
        ConfigError: ``each_snr_db`` is not a list of numbers; the caller says where.
    """
    full = dict(body)
    if "each_snr_db" not in full:
        return [(name, full)]
    snrs = full.pop("each_snr_db")
    if not isinstance(snrs, list) or not snrs or not all(isinstance(s, int | float) for s in snrs):
        raise ConfigError(f"need a list of dB, got {snrs!r}")
    return [(f"{name}_snr{snr:g}", full | {"snr_db": snr}) for snr in snrs]
