"""``index.html``: the parts of the page and its data, in one file."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from espnet_robust.common.files import write_atomic

PAGE = "index.html"
_SCRIPTS = (
    "data", "theme", "align", "table", "curves", "spectrogram", "audio", "list", "utterance",
    "runs", "main",
)  # fmt: skip


def write_page(
    path: str | Path,
    head: Mapping[str, Any],
    blocks: Iterable[Mapping[str, Any]],
    runs: Sequence[Sequence[Mapping[str, str]]],
) -> None:
    """Write the page, whole or not at all.

    Args:
        path: the HTML file.
        head: the data that the page shows first, see ``make.make_page``.
        blocks: the utterances of each condition, see ``utterances.blocks``.
        runs: the outputs of each run, see ``runs.read_run``.

    All data is compressed and in base64, so that no text from a corpus is ever parsed as HTML; the
    script inserts it as text. The page's security policy allows only its own script, by digest, and
    no network.
    """
    data = [_packed("head", head), _packed("runs", runs)]
    # The utterances of a condition are unpacked when somebody looks at them.
    data += [_packed(f"condition-{place}", block) for place, block in enumerate(blocks)]
    script = "\n".join(_asset(f"{name}.js") for name in _SCRIPTS)
    style = _asset("page.css")
    parts = {
        "script_digest": _digest(script),
        "style_digest": _digest(style),
        "style": style,
        "data": "\n".join(data),
        "script": script,
    }
    # In one pass, so that inserted text is not searched for further placeholders.
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("page.html"))
    write_atomic(path, text)


def _packed(name: str, content: Any) -> str:
    """A block of data that a browser does not interpret."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # mtime: the same content gives the same bytes.
    packed = gzip.compress(text.encode("utf-8", "surrogateescape"), compresslevel=4, mtime=0)
    encoded = base64.b64encode(packed).decode("ascii")
    return f'<script type="text/plain" data-name="{name}">{encoded}</script>'


def _digest(text: str) -> str:
    """As a Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")
