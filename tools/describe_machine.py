#!/usr/bin/env python3
"""Print what a measurement runs on: processor, GPU, versions. Fails if the device is missing."""

import argparse
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from markdown_table import table

PACKAGES = ("torch", "torchaudio", "transformers", "espnet", "numpy")


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--json", type=Path, help="also write it here")
    return parser


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def describe() -> dict[str, str]:
    found = {"CPU": f"{processor()}, {os.cpu_count()} visible", "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        found["GPU"] = f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB"
        found["CUDA, cuDNN"] = f"{torch.version.cuda}, {torch.backends.cudnn.version()}"
        tf32 = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        found["TF32 in matrix products, convolutions"] = f"{tf32[0]}, {tf32[1]}"
    return found


def main() -> None:
    args = get_parser().parse_args()
    found = describe()
    rows = [{"what": what, "found": value} for what, value in found.items()]
    print(table(rows, {"what": ("", ""), "found": ("", "")}))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: describe_machine: torch finds no GPU here")


if __name__ == "__main__":
    main()
