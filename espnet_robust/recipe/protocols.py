"""Whether the protocols of one run can be made side by side."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ConfigError
from espnet_robust.data.expansion import expand


def check_conditions(protocols: Sequence[str]) -> None:
    """Raise ConfigError if two protocols make a condition of the same name in different ways.

    They would make each other's copy again for ever. What else is wrong with a protocol is found
    when its copies are made, as its noises may not be there yet.
    """
    seen: dict[str, tuple[str, Any]] = {}
    for protocol in protocols if len(protocols) > 1 else ():
        for name, body in _conditions(read_yaml(Path(protocol))):
            other, same = seen.setdefault(name, (protocol, body))
            if body != same:
                raise ConfigError(
                    f"--protocol: {other} and {protocol} both have a condition {name}, made in "
                    "different ways; rename it in one of them"
                )


def _conditions(protocol: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (name, everything that makes it) for each copy."""
    shared = {key: value for key, value in protocol.items() if key != "conditions"}
    conditions = protocol.get("conditions")
    for name, body in conditions.items() if isinstance(conditions, Mapping) else ():
        with suppress(ConfigError):
            yield from expand(str(name), {**shared, **body} if isinstance(body, Mapping) else {})
