"""Print the size, layers and frame rate of a teacher or student, or why it cannot be loaded."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust describe_model", description=__doc__)
    parser.add_argument("model", help="hub id, model directory or student directory")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.models.speech_model import load_teacher
    from espnet_robust.models.student import load_student

    is_student = Path(args.model, "config.yaml").is_file()
    model = load_student(Path(args.model)) if is_student else load_teacher(args.model)
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{args.model}: {model.config.model_type}, {parameters / 1e6:.2f} M parameters, "
        f"{model.num_layers} layers of {model.hidden_size} units, one frame every "
        f"{1000 * model.hop / model.rate:g} ms"
    )


if __name__ == "__main__":
    run(main)
