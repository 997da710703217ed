"""Export the student of a distillation to a directory (config.yaml, model.safetensors).

espnet-robust export_student exp/my exp/student
espnet-robust export_student exp/a exp/student_a exp/b exp/student_b
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust export_student", description=__doc__)
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="EXP OUT",
        help="output_dir of distill_train, and the student directory to write; or several pairs",
    )
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
    parser = get_parser()
    args = parser.parse_args(cmd)
    if len(args.paths) % 2:
        parser.error(f"{args.paths[-1]}: name a student directory after it")
    for exp, out in zip(args.paths[::2], args.paths[1::2], strict=True):
        export(exp, out, args.checkpoint, args.erase_rank)


def export(exp: Path, out: Path, checkpoint: str, erase_rank: int | None) -> None:
    """Export one student, unless that is done."""
    from espnet_robust.common.made_of import Output
    from espnet_robust.recipe.outputs import student_of

    made_of = student_of(exp, checkpoint)
    if erase_rank is not None:
        made_of |= {"erase_rank": erase_rank}
    output = Output(out, made_of)
    if output.is_done():
        print(f"{out}: already exported")
        return
    from espnet_robust.distill.export import export_student

    student = export_student(exp, output, checkpoint, erase_rank)
    parameters = sum(p.numel() for p in student.parameters())
    erased = f", {student.eraser.rank} directions erased from each" if student.eraser else ""
    print(f"{out}: {parameters / 1e6:.2f} M parameters, {student.num_layers} layers{erased}")


if __name__ == "__main__":
    run(main)
