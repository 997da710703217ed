#!/usr/bin/env python3
"""Gather the results of the parts of tools/check_gpu.sh: figures, exit status and seconds.

A part NAME left NAME.status ("STATUS SECONDS") and, if it measured anything, NAME.json. The exit
status is 1 if a part failed, or if there are no parts.
"""

import argparse
import json
import sys
from pathlib import Path


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="JSON")
    return parser


def gather(directory: Path) -> dict[str, dict]:
    parts = {}
    for path in sorted(directory.glob("*.status"), key=lambda path: path.stat().st_mtime):
        status, seconds = map(int, path.read_text().split())
        figures = path.with_suffix(".json")
        parts[path.stem] = {
            "status": status,
            "seconds": seconds,
            "figures": json.loads(figures.read_text()) if figures.exists() else None,
        }
    return parts


def main() -> None:
    args = get_parser().parse_args()
    parts = gather(args.directory)
    args.out.write_text(json.dumps(parts, indent=1) + "\n")
    failed = [name for name, part in parts.items() if part["status"]]
    print(f"\n{len(parts) - len(failed)} of {len(parts)} parts passed")
    if failed or not parts:
        sys.exit(f"error: check_gpu: failed: {', '.join(failed) or 'there is no part'}")


if __name__ == "__main__":
    main()
