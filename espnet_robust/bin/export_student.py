"""Export the student of a distillation to a directory (config.yaml, model.safetensors)."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust export_student", description=__doc__)
    parser.add_argument("exp", type=Path, help="output_dir of distill_train")
    parser.add_argument("out", type=Path, help="student directory")
    parser.add_argument(
        "--checkpoint", default="valid.distill.best.pth", help="file in EXP (default: %(default)s)"
    )
    parser.add_argument(
        "--erase_rank",
        type=int,
        metavar="N",
        help="erase so many directions from each layer, instead of what `erase` says in the "
        "configuration of the training; 0: none",
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.common.made_of import Output
    from espnet_robust.recipe.outputs import student_of

    made_of = student_of(args.exp, args.checkpoint)
    if args.erase_rank is not None:
        made_of |= {"erase_rank": args.erase_rank}
    output = Output(args.out, made_of)
    if output.is_done():
        print(f"{args.out}: already exported")
        return
    from espnet_robust.distill.export import export_student

    student = export_student(args.exp, output, args.checkpoint, args.erase_rank)
    parameters = sum(p.numel() for p in student.parameters())
    erased = f", {student.eraser.rank} directions erased from each" if student.eraser else ""
    print(f"{args.out}: {parameters / 1e6:.2f} M parameters, {student.num_layers} layers{erased}")


if __name__ == "__main__":
    run(main)
