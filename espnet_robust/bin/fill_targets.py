"""Fill the target caches of a recipe's distillations, in processes here or as jobs of a cluster.

Systems without target_cache, and finished trainings, need nothing.
"""

import argparse
import functools
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from espnet_robust.cluster.options import add_cluster_options, stage_of
from espnet_robust.common.cli import Parser, run
from espnet_robust.common.errors import UserError
from espnet_robust.recipe.options import add_plan_options, plan_of
from espnet_robust.recipe.plan import DISTILL, Plan

PART = 100  # utterances that a process here takes at a time


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust fill_targets", description=__doc__)
    add_plan_options(parser)
    add_cluster_options(parser)
    parser.add_argument("--systems", required=True, help="names, separated by blanks")
    parser.add_argument("--seeds", default="0", help="separated by blanks")
    parser.add_argument("--nj", type=int, default=1, help="processes here")
    parser.add_argument(
        "--ngpu", type=int, default=0, help="GPUs here; each has a process at least"
    )
    parser.add_argument(
        "--jobs_dir", type=Path, metavar="DIR", help="with --cluster: directory for the jobs' logs"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first utterance")
    parser.add_argument("--number", type=int, help="of utterances; default: all")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if cmd is None else cmd)
    args = get_parser().parse_args(given)
    plan = plan_of(args)
    cached = [
        (system, seed)
        for seed in args.seeds.split()
        for system in args.systems.split()
        if plan.config(DISTILL, system, seed).get("target_cache")
    ]
    if args.cluster and cached:
        _submit(args, given, plan, cached)
        return
    for system, seed in cached:
        if args.number or not _is_done(plan, system, seed):
            _fill(args, plan, plan.config(DISTILL, system, seed), int(seed))


def _is_done(plan: Plan, system: str, seed: str) -> bool:
    """Whether the training is over, or its student is there."""
    from espnet_robust.recipe.outputs import Outputs

    outputs = Outputs(plan)
    training = outputs.distilled(system, seed)
    if training.changes():
        return False
    return training.is_done() or outputs.student(system, seed).is_done()


def _wavs(plan: Plan) -> Iterator[tuple[str, str]]:
    """(utterance id, entry of wav.scp) of all that the teachers hear."""
    from espnet_robust.data.data_dir import iter_wav

    for data_dir in dict.fromkeys((plan.distill_train, plan.distill_dev)):
        yield from iter_wav(data_dir)


def _fill(args: argparse.Namespace, plan: Plan, config: Mapping[str, Any], seed: int) -> None:
    from tqdm import tqdm

    from espnet_robust.common.processes import unordered
    from espnet_robust.distill.fill import check_mixtures

    check_mixtures(config)
    end = None if args.number is None else args.first + args.number
    wavs = list(islice(_wavs(plan), args.first, end))
    parts = [wavs[n : n + PART] for n in range(0, len(wavs), PART)]
    call = functools.partial(_part, config, seed, args.ngpu)
    done = unordered(call, parts, max(args.nj, args.ngpu), start="spawn")
    for _ in tqdm(done, desc="targets", unit="part", total=len(parts)):
        pass


def _part(config: Mapping[str, Any], seed: int, ngpu: int, wavs: Sequence[tuple[str, str]]) -> None:
    from espnet_robust.distill.fill import fill

    fill(config, seed, wavs, _device(ngpu))


def _device(ngpu: int) -> str:
    """A GPU that this process keeps, so that each holds one teacher."""
    from espnet_robust.common.processes import worker_number

    return f"cuda:{worker_number() % ngpu}" if ngpu else "cpu"


def _submit(
    args: argparse.Namespace, given: Sequence[str], plan: Plan, todo: Sequence[tuple[str, str]]
) -> None:
    """Run a job for each range of utterances, each of which is this command without a cluster."""
    from espnet_robust.cluster.running import submit

    stage = stage_of(args, "targets", "decode", args.jobs_dir, ngpu=args.ngpu)
    try:
        todo = [one for one in todo if not _is_done(plan, *one)]
        total = sum(1 for _ in _wavs(plan))
    except UserError as e:
        if args.dry_run == "false":
            raise
        print(f"targets: known when the stages before are done: {' '.join(str(e).split())}")
        return
    if not todo:
        return
    number = -(-total // max(1, stage.cluster.array // len(todo)))
    program = [sys.executable, "-m", "espnet_robust.bin.fill_targets", *given, "--cluster="]
    commands = {
        f"targets_{system}_seed{seed}.{first}": [
            *program, "--systems", system, "--seeds", seed, "--first", str(first),
            "--number", str(number), "--ngpu", str(min(args.ngpu, 1)),
        ]
        for system, seed in todo
        for first in range(0, total, number)
    }  # fmt: skip
    submit(stage, commands, args.dry_run == "true")


if __name__ == "__main__":
    run(main)
