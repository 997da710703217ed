"""Run one training of a recipe: a distillation, or a recogniser or classifier on a student.

A finished training is skipped; an interrupted one resumes. If it was made of something else (other
configuration, data, teacher, student), it is refused or, with --redo, made again.
"""

import argparse
import os
from collections.abc import Sequence

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.launch import node_of, ranks_of
from espnet_robust.recipe.options import add_plan_options, plan_of
from espnet_robust.recipe.plan import DISTILL


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust train", description=__doc__)
    add_plan_options(parser)
    parser.add_argument(
        "--ngpu", default="0", metavar="N", help="GPUs per node; default: %(default)s"
    )
    parser.add_argument(
        "--num_procs", default="1", metavar="N", help="without GPUs: processes per node"
    )
    parser.add_argument(
        "--num_nodes",
        default="1",
        metavar="N",
        help="each runs this command, with NODE_RANK and MASTER_ADDR in its environment",
    )
    parser.add_argument(
        "--dist_backend", default="", metavar="NAME", help="default: nccl on GPUs, gloo without"
    )
    parser.add_argument(
        "--redo", action="store_true", help="delete a stale training and run it again"
    )
    parser.add_argument("what", choices=(DISTILL, "asr", "cls"), help="the training")
    parser.add_argument(
        "system", help="YAML in conf/distill; for asr and cls also teacher or logmel"
    )
    parser.add_argument("seed", help="seed of the training")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    ranks = ranks_of(args.ngpu, args.num_procs, args.num_nodes, args.dist_backend)
    from espnet_robust.recipe.checkpoints import BEST_STUDENT, best_of
    from espnet_robust.recipe.outputs import Outputs
    from espnet_robust.recipe.training import train

    plan = plan_of(args)
    outputs = Outputs(plan)
    config = plan.config(args.what, args.system, args.seed)
    if args.what == DISTILL:
        output, best = outputs.distilled(args.system, args.seed), BEST_STUDENT
        module = ["espnet_robust.bin.distill_train"]
        if not output.changes() and outputs.student(args.system, args.seed).is_done():
            return  # its checkpoints may have been deleted
    else:
        output = outputs.trained(args.system, args.seed)
        best = best_of(config, plan.checkpoint)
        module = ["espnet_robust.run", f"espnet2.bin.{args.what}_train"]
    options = {
        "config": output.path / "train.yaml",
        "output_dir": output.path,
        "seed": args.seed,
        "resume": "true",
    }
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    train(
        output,
        config,
        ranks.command(module, words, os.environ),
        f"{args.what} {args.system} {args.seed}",
        best,
        redo=args.redo,
        node=node_of(ranks.num_nodes)[0] if ranks.num_nodes > 1 else 0,
    )


if __name__ == "__main__":
    run(main)
