"""Pack a system of a recipe for others to load, with model cards written from the run.

EXP is exp/BUDGET/SYSTEM_seedN after scoring. OUT (EXP/packed) gets asr.zip, in the format of
espnet2.bin.pack, asr/ with the same files, for the hub, and student/.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.made_of import FILE


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust pack", description=__doc__)
    parser.add_argument("--checkpoint", default="valid.loss.best.pth", help="default: %(default)s")
    parser.add_argument("--recipe", type=Path, default=Path(), help="directory (default: this one)")
    parser.add_argument("--noise_source", default="synthetic", help="YAML in conf/noise")
    parser.add_argument("--teacher", default="", help="teacher of a system that has no student")
    parser.add_argument("--command", default="", help="the command that trained it, for the card")
    parser.add_argument(
        "--upload_hf", default="", metavar="USER/NAME", help="repository, for the card"
    )
    parser.add_argument(
        "--licence", default="other", help="licence of the packed models, by its name on the hub"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="directory to write; what an earlier pack wrote there is replaced, anything else is "
        "refused; default: EXP/packed",
    )
    parser.add_argument("exp", type=Path, metavar="EXP", help="the system to pack")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    from espnet_robust.publish.pack import pack_system
    from espnet_robust.publish.repos import repo_of
    from espnet_robust.publish.run_facts import read_facts

    facts = read_facts(
        args.exp, args.recipe, args.noise_source, args.teacher, args.command, args.licence
    )
    repo = repo_of(args.upload_hf, args.exp, facts.scores.task) if args.upload_hf else ""
    out = pack_system(args.exp, args.checkpoint, facts, args.out or args.exp / "packed", repo)
    print(f"packed: {', '.join(sorted(str(p) for p in out.iterdir() if p.name != FILE))}")


if __name__ == "__main__":
    run(main)
