"""What differs between releases of ESPnet, and whether the one installed can be used.

Nothing else here knows of releases. Importing this module does not import ESPnet.

    202511    ``espnet.nets``; numpy below 2.4; Kaldi files by kaldiio; checkpoints unpickled
    202611    ``espnet2.legacy.nets``; Kaldi files by omniio (which ESPnet calls, not we); of
              checkpoints the weights alone are read
"""

import ast
import importlib
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from espnet_robust.common.errors import ConfigError

OLDEST, NEWEST = 202511, 202611  # what the tests run on
REMEDY = f"install one that is tested: pip install espnet=={NEWEST}"
NETS = {  # what we take from ESPnet's former ``espnet.nets``: name -> module there
    "BatchBeamSearch": "batch_beam_search",
    "CTCPrefixScorer": "scorers.ctc",
    "RNNP": "pytorch_backend.rnn.encoders",
}


def from_nets(name: str) -> type:
    """A class of ``espnet.nets``, which in ESPnet 202611 is ``espnet2.legacy.nets``."""
    package = "espnet2.legacy" if find_spec("espnet2.legacy") else "espnet"
    return getattr(importlib.import_module(f"{package}.nets.{NETS[name]}"), name)


def reads_weights_only() -> bool:
    """Whether ESPnet itself refuses checkpoints that hold more than weights."""
    return find_spec("espnet2.torch_utils.safe_torch_load") is not None


def installed() -> int | None:
    """The release, such as 202611 (0 of versions before the years); None if it does not say."""
    try:
        found = re.match(r"\d+", version("espnet"))
    except PackageNotFoundError:
        return None  # a source tree on the path
    return int(found[0]) if found else None


def check() -> None:
    """Raises ConfigError where there is no ESPnet, one before OLDEST, or a newer one which lacks
    what we import from it. What a tested release has is not looked at."""
    if find_spec("espnet2") is None:
        raise ConfigError(f"ESPnet is not installed beside espnet_robust; {REMEDY}")
    release = installed()
    if release in (OLDEST, NEWEST):
        return
    if release is not None and release < OLDEST:
        raise ConfigError(
            f"ESPnet {version('espnet')} is older than {OLDEST}, the oldest that espnet_robust "
            f"works with; {REMEDY}"
        )
    if missing := sorted(filter(_is_missing, set(needed()))):
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ConfigError(
            f"ESPnet {release or 'of unknown release'} has no {', '.join(missing[:3])}{more}, "
            f"which espnet_robust needs; {REMEDY}"
        )


def needed() -> Iterator[str]:
    """Dotted names of all that this package imports from ESPnet, read from its own source."""
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("espnet2."):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
    yield from NETS


def _is_missing(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute) if module else from_nets(name)
    except Exception:  # whatever an unknown release raises when it is imported
        return True
    return found is None
