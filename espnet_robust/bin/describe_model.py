"""Print the size, layers and frame rate of a teacher, or why it cannot be loaded."""

import argparse
from collections.abc import Sequence

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust describe_model", description=__doc__)
    parser.add_argument("teacher", help="hub id or directory")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.models.speech_model import load_teacher

    model = load_teacher(args.teacher)
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{args.teacher}: {model.config.model_type}, {parameters / 1e6:.2f} M parameters, "
        f"{model.num_layers} layers of {model.hidden_size}, a frame every "
        f"{1000 * model.hop / model.rate:g} ms"
    )


if __name__ == "__main__":
    run(main)
