"""Speak, distort it, read what each system understands: a page on this machine.

Run it in a recipe's directory, after `make demo` in egs/mini/asr1. It needs gradio, which `make
setup` installs.
"""

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.errors import ConfigError


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust demo", description=__doc__)
    parser.add_argument(
        "exp", type=Path, nargs="?", default=Path("exp/demo"), metavar="EXP",
        help="experiment of a recipe, with SYSTEM_seedN/asr; default: %(default)s",
    )  # fmt: skip
    parser.add_argument("--systems", default="", help="separated by blanks; default: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the trainings")
    parser.add_argument("--checkpoint", default="valid.loss.best.pth", help="in SYSTEM_seedN/asr")
    parser.add_argument("--noise", help="data dir of noise; default: data/noise_test, if there")
    parser.add_argument("--rir", help="data dir of rooms; default: data/rir_test, if there")
    parser.add_argument("--speech", help="data dir of voices for babble; default: data/test")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="interface to listen on; default: %(default)s, this machine only",
    )
    parser.add_argument("--port", type=port, default=7860, help="default: %(default)s")
    parser.add_argument(
        "--max_seconds",
        type=float,
        default=20.0,
        help="longest audio to accept (default: %(default)s)",
    )
    parser.add_argument(
        "--max_megabytes",
        type=float,
        default=10.0,
        help="largest file to accept (default: %(default)s)",
    )
    return parser


def port(given: str) -> int:
    """A TCP port, as an argument; argparse shows this name where it is no number."""
    if not 0 < int(given) < 1 << 16:
        raise argparse.ArgumentTypeError(f"must be from 1 to 65535, got {given}")
    return int(given)


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    if find_spec("gradio") is None:
        raise ConfigError("the page needs gradio; fix: pip install -e '.[demo]'")
    from espnet_robust.live.distortions import offers
    from espnet_robust.live.page import Limits, serve
    from espnet_robust.live.systems import load_systems

    offered = offers(
        _there(args.noise, "data/noise_test"),
        _there(args.rir, "data/rir_test"),
        _there(args.speech, "data/test"),
    )
    systems = load_systems(args.exp, args.seed, args.systems.split(), args.checkpoint)
    limits = Limits(args.max_seconds, args.max_megabytes)
    serve(systems, offered, limits, args.host, args.port)


def _there(given: str | None, default: str) -> str | None:
    """The data dir that was given, or else the default if it exists."""
    return given or (default if Path(default, "wav.scp").is_file() else None)


if __name__ == "__main__":
    run(main)
