"""Check a recipe's options before anything runs; print what run.sh needs of them.

That is the teacher, the protocols, the systems with a target cache, and the GPUs of trainings and
of decoding side by side (0,1 2,3), one line each. stderr gets what the run will take; a disk that
is too small for it is refused. If stages are skipped, their earlier outputs must have been made
from the present inputs.
"""

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from espnet_robust.cluster.config import read_cluster
from espnet_robust.cluster.executors import check_available
from espnet_robust.cluster.options import add_cluster_options
from espnet_robust.common.cli import Parser, run
from espnet_robust.common.errors import ConfigError, UserError
from espnet_robust.common.espnet_args import settings_of
from espnet_robust.common.experiment import CHECKOUT, NOT_DISTILLED, find_teacher, resolve
from espnet_robust.common.launch import Ranks, check_nodes, devices_of, ranks_of, visible_devices
from espnet_robust.common.recipe import (
    DIRECTORIES,
    check_directories,
    check_dumpdir,
    check_names,
    check_nbpe,
    check_noise,
    check_numbers,
    check_seeds,
    check_trainings,
    find_protocols,
    read_noise_source,
    wanted_stages,
)
from espnet_robust.publish.hub import check_repos, check_upload
from espnet_robust.recipe.checkpoints import BEST_STUDENT, check_kept
from espnet_robust.recipe.keys import Options, check_keys
from espnet_robust.recipe.options import add_plan_options, plan_of
from espnet_robust.recipe.plan import DISTILL, Plan
from espnet_robust.recipe.protocols import check_conditions
from espnet_robust.recognise.job import parse_search_options
from espnet_robust.score.options import check_score_options


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust check_recipe", description=__doc__)
    add_plan_options(parser)
    parser.add_argument("--stage", default="1", metavar="N", help="the first one to run")
    parser.add_argument("--stop_stage", default="10", metavar="N", help="the last one to run")
    parser.add_argument("--skipped_stages", default="", help="separated by blanks")
    parser.add_argument(
        "--upload_hf", default="", metavar="USER/NAME", help="repository on the hub"
    )
    parser.add_argument("--systems", required=True, help="names, separated by blanks")
    parser.add_argument("--seeds", default="0", help="separated by blanks")
    parser.add_argument("--nbpe", default="100", metavar="N", help="size of the BPE vocabulary")
    parser.add_argument("--tag", default="", metavar="NAME", help="of the experiment")
    parser.add_argument("--folds", default="", help="each fold checks its own outputs")
    add_cluster_options(parser)
    parser.add_argument("--nj", default="1", metavar="N", help="processes at a time")
    parser.add_argument("--ngpu", default="0", metavar="N", help="GPUs per node")
    parser.add_argument("--num_procs", default="1", metavar="N", help="processes per node")
    parser.add_argument("--num_nodes", default="1", metavar="N", help="nodes of a training")
    parser.add_argument("--dist_backend", default="", metavar="NAME", help="nccl or gloo")
    parser.add_argument("--preset", default="", help="key of conf/hours.yaml")
    parser.add_argument("--dumpdir", default="", metavar="DIR", help="what data/ will link to")
    parser.add_argument(
        "--check_disk", default="true", metavar="BOOL", help="false: a small disk is a warning"
    )
    parser.add_argument("--pretrain_configs", default="", help="of a teacher made in stage 4")
    parser.add_argument("--pretrain_sets", default="", metavar="DIRS", help="what it learns from")
    parser.add_argument("--pretrain_out", default="", help="its directory, without the number")
    parser.add_argument("--noise_source", default="synthetic", help="YAML in conf/noise, or DIR")
    for name in DIRECTORIES:
        parser.add_argument(f"--{name}", default="", metavar="DIR", help="for the noise source")
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    args = get_parser().parse_args(cmd)
    stages = wanted_stages(args.stage, args.stop_stage, args.skipped_stages)
    _check_upload(args, stages)
    ranks = ranks_of(args.ngpu, args.num_procs, args.num_nodes, args.dist_backend)
    _check_where(args, ranks, stages)
    # The GPUs of a cluster are elsewhere.
    gpus_here = _gpus(ranks.ngpu, [] if args.cluster else stages)
    check_numbers(args.nj, ranks, gpus_here)
    check_seeds(args.seeds.split())
    if args.task == "asr" and args.token_type == "bpe":
        check_nbpe(args.nbpe)
    for option in ("systems", "train_set", "dev_set", "test_sets"):
        check_names(option, getattr(args, option).split())
    if args.tag:
        check_names("tag", args.tag.split("/"))
    args.protocols = _protocols(args.protocols, args.noise_source, args.recipe)
    plan = plan_of(args)
    systems, seeds = args.systems.split(), args.seeds.split()
    _check_trainings(plan, systems, stages)
    _check_data(args, plan, stages)
    from espnet_robust.recipe.sizes import check_space, estimate
    from espnet_robust.recipe.skipped import check_pretrained, check_skipped, other_commits

    if not args.folds:  # reads much
        made = (args.pretrain_configs.split(), args.pretrain_sets.split(), args.pretrain_out)
        check_pretrained(*made, stages)
        check_skipped(plan, stages, systems, seeds)
        gpus = ranks.ngpu * ranks.num_nodes
        said, needs = estimate(plan, stages, systems, seeds, gpus, args.preset, args.dumpdir)
        print(*said, sep="\n", file=sys.stderr)
        check_space(needs, warn=args.check_disk == "false")
    if others := other_commits(plan, systems, seeds):
        print(others, file=sys.stderr)
    print(find_teacher(plan.recipe, args.teacher))
    print(args.protocols)
    print(*_with_cache(plan, systems, seeds))
    if ranks.ngpu and not args.cluster:
        _print_devices(int(args.nj), ranks.ngpu, visible_devices(gpus_here))


def _check_trainings(plan: Plan, systems: Sequence[str], stages: Sequence[int]) -> None:
    """Check the options of the trainings, of decoding and of scoring."""
    given = {
        DISTILL: settings_of("distill_args", plan.distill_args),
        plan.task: settings_of(f"{plan.task}_args", plan.task_args),
    }
    parse_search_options(plan.decode_options)
    check_score_options(plan.score_options)
    check_trainings(plan.task, systems, plan.recipe, plan.budget, plan.classifier)
    for system in systems:
        if 5 in stages and system not in NOT_DISTILLED and not plan.students:
            config = resolve(DISTILL, system, plan.recipe, plan.budget, given[DISTILL])
            check_keys(DISTILL, config, f"distill {system}", options_of)
            check_kept("the student is exported from it", BEST_STUDENT, config)
        if 7 in stages:
            config = resolve(
                plan.task, system, plan.recipe, plan.budget, given[plan.task], plan.classifier
            )
            check_keys(plan.task, config, f"{plan.task} on {system}", options_of)
            check_kept("name it with --checkpoint", plan.checkpoint, config)


@cache
def options_of(task: str) -> Options:
    """The options of ESPnet's training of a task, or of ours; takes seconds."""
    import espnet_robust.plugin.quick_start  # noqa: F401  before ESPnet

    with contextlib.redirect_stderr(io.StringIO()):  # ESPnet tells which packages it does without
        from espnet_robust.plugin import task_options

        if task == DISTILL:
            trained = import_module("espnet_robust.distill.task").DistillTask
        else:
            import_module("espnet_robust.plugin.registration").register()
            trained = getattr(import_module(f"espnet2.tasks.{task}"), f"{task.upper()}Task")
        return task_options.options_of(trained)


def _check_data(args: argparse.Namespace, plan: Plan, stages: Sequence[int]) -> None:
    """Check directories that are given, and that noises there are from the source that is."""
    if plan.protocols != ("none",):
        check_conditions(plan.protocols)
    if plan.students and not plan.students.is_dir():
        raise UserError(
            f"--students {plan.students}: no such directory; give exp/BUDGET of another recipe"
        )
    if args.dumpdir:
        check_dumpdir(args.recipe / "data", Path(args.dumpdir))
    given = {name: getattr(args, name) for name in DIRECTORIES}
    if stages[0] <= 2:
        check_directories(args.noise_source, given)
    if 2 in stages:
        from espnet_robust.corpora.noise_source import check_corpora

        check_corpora(args.noise_source)
    if 2 not in stages and {3, 5, 7} & {*stages}:  # they hear them
        check_noise(args.noise_source, given, args.recipe / "data")


def _check_upload(args: argparse.Namespace, stages: Sequence[int]) -> None:
    """Check that stage 12 can upload, under the names that the models will have."""
    check_upload(args.upload_hf, stages)
    if args.upload_hf:
        check_repos(args.upload_hf, args.systems.split(), args.seeds.split(), args.task)


def _check_where(args: argparse.Namespace, ranks: Ranks, stages: Sequence[int]) -> None:
    """Check that there is the cluster, or that the nodes can run these stages without one."""
    if args.cluster:
        cluster = read_cluster(args.cluster, args.recipe)
        if args.dry_run == "false":
            check_available(cluster.executor)
    elif args.dry_run == "true":
        raise ConfigError("--dry_run shows what would be submitted: add --cluster NAME")
    elif ranks.num_nodes > 1:
        check_nodes(ranks.num_nodes, args.nj, stages)


def _protocols(given: str, noise_source: str, recipe: Path) -> str:
    """The protocols to test with, those of the noise source unless others are given, or none."""
    if given == "none":
        return given
    shipped = read_noise_source(noise_source).protocols
    words = given.split() or [os.path.relpath(CHECKOUT / name, recipe) for name in shipped]
    return " ".join(find_protocols(words, recipe)) or "none"


def _with_cache(plan: Plan, systems: Sequence[str], seeds: Sequence[str]) -> list[str]:
    """The systems whose distillation has a target cache."""
    distilled = [] if plan.students else [s for s in systems if s not in NOT_DISTILLED]
    return [s for s in distilled if plan.config(DISTILL, s, seeds[0]).get("target_cache")]


def _print_devices(nj: int, ngpu: int, visible: Sequence[str]) -> None:
    """Print the GPUs of ``nj`` trainings side by side, then those of as many decodings."""
    for each in (ngpu, 1):
        print(*(",".join(devices_of(slot, each, visible)) for slot in range(nj)))


def _gpus(ngpu: int, stages: Sequence[int]) -> int:
    """GPUs that torch finds; what was asked for, where no stage needs any."""
    if not ngpu or not {5, 6, 7, 8} & {*stages}:
        return ngpu
    import torch  # seconds; only for this

    return torch.cuda.device_count()


if __name__ == "__main__":
    run(main)
