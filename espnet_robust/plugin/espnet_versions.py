"""Differences between ESPnet releases, and a check that the installed one can be used.

No other module depends on the release. Importing this module does not import ESPnet.

    202511    ``espnet.nets``; numpy < 2.4; reads Kaldi files with kaldiio; unpickles checkpoints
    202611    ``espnet2.legacy.nets``; reads Kaldi files with omniio (called by ESPnet, not by us);
              loads only the weights of checkpoints
"""

import ast
import importlib
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from espnet_robust.common.errors import ConfigError

OLDEST, NEWEST = 202511, 202611  # the releases that the tests run on
REMEDY = f"install one that is tested: pip install espnet=={NEWEST}"
NETS = {  # what we import from ESPnet's former ``espnet.nets``: name -> module there
    "BatchBeamSearch": "batch_beam_search",
    "CTCPrefixScorer": "scorers.ctc",
    "RNNP": "pytorch_backend.rnn.encoders",
}


def from_nets(name: str) -> type:
    """A class from ``espnet.nets``, which is ``espnet2.legacy.nets`` in ESPnet 202611."""
    package = "espnet2.legacy" if find_spec("espnet2.legacy") else "espnet"
    return getattr(importlib.import_module(f"{package}.nets.{NETS[name]}"), name)


def reads_weights_only() -> bool:
    """Whether ESPnet itself refuses checkpoints that hold more than weights."""
    return find_spec("espnet2.torch_utils.safe_torch_load") is not None


def installed() -> int | None:
    """The release, such as 202611 (0 for old version numbers); None if it is unknown."""
    try:
        found = re.match(r"\d+", version("espnet"))
    except PackageNotFoundError:
        return None  # a source tree on the path
    return int(found[0]) if found else None


def check() -> None:
    """Raise ConfigError if ESPnet is not installed, is older than OLDEST, or is an untested release
    that lacks something we import. For tested releases, imports are not checked."""
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
    """Dotted names of everything this package imports from ESPnet, found in its own source."""
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("espnet2."):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
    yield from NETS


def _is_missing(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute) if module else from_nets(name)
    except Exception:  # importing an unknown release may raise anything
        return True
    return found is None
