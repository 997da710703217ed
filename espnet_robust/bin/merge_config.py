"""Lay YAML files over one another, later ones winning, and write the result.

A layer is FILE or FILE:SECTION, where SECTION is a top-level key holding a mapping.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml

from espnet_robust.cli import run
from espnet_robust.config import merge, read_layer, read_yaml
from espnet_robust.errors import ConfigError
from espnet_robust.files import write_atomic


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layers", nargs="+", help="FILE or FILE:SECTION, weakest first")
    parser.add_argument(
        "--adapt",
        nargs="*",
        default=[],
        metavar="FILE",
        help="laid over the first layer, or over its base, so that the keys of a variant win",
    )
    parser.add_argument("--out", type=Path, required=True)
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    merged = read_layer(args.layers[0], args.adapt)
    for layer in args.layers[1:]:
        merged = merge(merged, read_layer(layer))
    write_once(args.out, merged)


def write_once(path: Path, config: dict) -> None:
    """Write a YAML file; where it stands already it must say the same.

    Raises:
        ConfigError: the experiment there was begun with another configuration.
    """
    if path.exists():
        if read_yaml(path) != config:
            raise ConfigError(
                f"{path}: this experiment was begun with another configuration; "
                f"delete {path.parent} to begin anew"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, yaml.safe_dump(config, sort_keys=False))


if __name__ == "__main__":
    run(main)
