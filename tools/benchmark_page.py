#!/usr/bin/env python3
"""Size of the report's page, and how fast it opens and responds in Chromium.

    python tools/benchmark_page.py --systems 20 --conditions 60 --utterances 3000

The page has made-up texts. `opens` is the time from the address to the first utterance on the
screen; the others are times from an action to the next painted frame.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from markdown_table import table
from playwright.sync_api import sync_playwright

from espnet_robust.common.cli import Parser
from espnet_robust.score.alignment import ALIGNMENTS
from espnet_robust.score.page.write import PAGE, write_page

WORDS = np.array([f"word{i}" for i in range(500)])
ACTIONS = {
    "sorts": "() => document.querySelector('thead button[data-system]').click()",
    "hides a system": "() => document.querySelector('#systems input').click()",
    "changes the curves": "() => set('series', 1)",
    "orders": "() => set('order', 'errors')",
    "filters": "() => { $('find').value = 'word12'; showList(); }",
    "goes to the last": "() => list.go(list.items.length - 1)",
    "changes the condition": "async () => { $('condition').value = 2; await loadCondition(); }",
}
HEAR = """async (action) => {
    window.set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("change")); };
    const start = performance.now();
    await ACTION();
    await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
    return (performance.now() - start) / 1000;
}"""


def get_head(systems: int, conditions: int, utterances: int) -> dict:
    names = [f"noise_{c // 6}_snr{30 - 5 * (c % 6)}" for c in range(conditions)]
    cells = [[[c + s, c + s - 1, c + s + 1, 1] for s in range(systems)] for c in range(conditions)]
    groups = [list(range(first, first + 6)) for first in range(0, conditions - 5, 6)]
    return {
        "title": "benchmark", "made": "", "notes": [], "problems": [], "tables": [], "compared": "",
        "alignment": ALIGNMENTS["fewest"].step,
        "baseline": "system_0", "runs": list(range(systems)), "seeds": [0] * systems,
        "systems": [{"name": f"system_{s}", "seeds": [0]} for s in range(systems)],
        "conditions": [
            {"name": name, "meaning": "noise", "utterances": utterances, "speakers": 50}
            for name in names
        ],
        "metrics": [
            {"name": "WER", "title": "Word error rate, %", "higher": False, "cells": cells,
             "distorted": cells[0], "edits": [[None] * systems] * conditions}
        ],
        "curves": [
            {"name": f"noise_{g[0] // 6}", "axis": "SNR, dB",
             "points": [[c, 30 - 5 * (c % 6)] for c in g]}
            for g in groups
        ],
    }  # fmt: skip


def get_blocks(systems: int, conditions: int, utterances: int) -> Iterator[dict]:
    """Blocks like those of ``utterances.blocks``: references of 4 to 19 words, a fifth of the
    hypothesised ones wrong."""
    rng = np.random.default_rng(0)
    refs = [list(rng.choice(WORDS, rng.integers(4, 20))) for _ in range(utterances)]
    hyps = [[heard(ref, rng) for _ in range(systems)] for ref in refs]
    errors = [[sum(a != b for a, b in zip(ref, hyp, strict=True)) for hyp in row]
              for ref, row in zip(refs, hyps, strict=True)]  # fmt: skip
    for condition in range(conditions):
        # The words of each condition are others, so that packing finds nothing twice.
        texts = [" ".join(f"{word}{condition}" for word in ref) for ref in refs]
        yield {
            "ids": [f"speaker{u % 50:02d}-{u:05d}" for u in range(utterances)],
            "speakerNames": [f"speaker{s:02d}" for s in range(50)],
            "speakers": [u % 50 for u in range(utterances)],
            "refs": texts,
            "words": [len(ref) for ref in refs],
            "hyps": [[" ".join(f"{w}{condition}" for w in hyp) for hyp in row] for row in hyps],
            "errors": errors,
            "audio": [f"../../data/test_{condition}/audio/{u:06d}.flac" for u in range(utterances)],
            "clean": [f"../../data/test/audio/{u:06d}.flac" for u in range(utterances)],
            "drawn": [{"steps": [{"kind": "noise", "crop": u}]} for u in range(utterances)],
            "pictures": {},
        }  # fmt: skip


def heard(ref: list[str], rng: np.random.Generator) -> list[str]:
    wrong = rng.random(len(ref)) < 0.2
    return list(np.where(wrong, rng.choice(WORDS, len(ref)), ref))


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--systems", type=int, default=20)
    parser.add_argument("--conditions", type=int, default=60)
    parser.add_argument("--utterances", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=3, help="medians of so many")
    args = parser.parse_args()
    size = (args.systems, args.conditions, args.utterances)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as p:
        page = Path(folder) / PAGE
        write_page(page, get_head(*size), get_blocks(*size), [[] for _ in range(args.systems)])
        print(f"{page.stat().st_size / 1e6:.1f} MB\n")
        chromium = p.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        measured = [measure(chromium, page.as_uri()) for _ in range(args.runs)]
        chromium.close()
    rows = [{"what": n, "seconds": np.median([m[n] for m in measured])} for n in measured[0]]
    print(table(rows, {"what": ("the page", ""), "seconds": ("seconds", ".2f")}))


def measure(chromium, url: str) -> dict[str, float]:
    """Action -> seconds."""
    page = chromium.new_page(viewport={"width": 1300, "height": 900})
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("html[data-ready]")
    found = {"opens": time.perf_counter() - start}
    for name, action in ACTIONS.items():
        found[name] = page.evaluate(HEAR.replace("ACTION", f"({action})"))
    page.close()
    return found


if __name__ == "__main__":
    main()
