"""Check that the outputs of skipped stages are current, that is, made from the present inputs."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.common.experiment import NOT_DISTILLED
from espnet_robust.common.made_of import Output, commit, damage, made_by, summary
from espnet_robust.data.conditions import read_condition
from espnet_robust.publish.repos import packed
from espnet_robust.recipe.outputs import Outputs, pretrained
from espnet_robust.recipe.plan import DISTILL, Plan

COPIES, TEACHER, DISTILLATION, EXPORT, TRAINING, DECODING, SCORING = 3, 4, 5, 6, 7, 8, 9
PACKING = 11
SEED = 0  # for distorted copies

ELSE = "was made of something else"
Problem = tuple[int, str]  # the stage that fixes it, what is wrong


def check_skipped(
    plan: Plan, stages: Sequence[int], systems: Sequence[str], seeds: Sequence[str]
) -> None:
    """Check the outputs of the stages not in ``stages``, as far as these stages need them.

    Raises:
        UserError: an output is missing or stale; the message names the first one and the stage to
            begin with.
    """
    for number, problem in _problems(plan, stages, systems, seeds):
        redo = " --redo" if number in (DISTILLATION, TRAINING) and ELSE in problem else ""
        raise UserError(f"{problem}; begin with --stage {number}{redo}")


def check_pretrained(
    configs: Sequence[str], data_dirs: Sequence[str], prefix: str, stages: Sequence[int]
) -> None:
    """Check the teachers PREFIX1, PREFIX2, ... if a later stage takes them over.

    Raises:
        UserError: one is missing or stale.
    """
    if TEACHER in stages or stages[-1] <= TEACHER:
        return
    for number, config in enumerate(configs, 1):
        output = pretrained(Path(config), [*map(Path, data_dirs)], Path(f"{prefix}{number}"))
        if problem := _problem(output):
            redo = " --redo" if ELSE in problem else ""
            raise UserError(f"{output.path}: {problem}; begin with --stage {TEACHER}{redo}")


def current(plan: Plan, systems: Sequence[str], seeds: Sequence[str]) -> list[str]:
    """The systems whose scores, and all outputs before them, are current.

    The others are named on stderr, with the reason. One is a system whose YAML, teacher or noise is
    no longer there: its scores cannot be checked.
    """
    found = []
    for system in systems:
        try:
            problem = next(_of_system(plan, [SCORING + 1], [system], seeds), None)
            reason = problem[1] if problem else ""
        except UserError as e:
            reason = " ".join(str(e).split())  # a distortion YAML lists each error on a line
        if reason:
            print(f"{system} is left out of the table: {reason}", file=sys.stderr)
        else:
            found.append(system)
    return found


def others(plan: Plan, systems: Sequence[str], seeds: Sequence[str]) -> list[str]:
    """Further systems that have scores in this experiment for all of the seeds."""
    scored = (path.parent.name for path in plan.exp.glob("*_seed*/scores.json"))
    counted = Counter(name.rpartition("_seed") for name in scored)
    names = {system for system, _, seed in counted if seed in seeds} - {*systems}
    return sorted(n for n in names if all((n, "_seed", seed) in counted for seed in seeds))


def other_commits(plan: Plan, systems: Sequence[str], seeds: Sequence[str]) -> str:
    """A message if outputs were made by other commits than this one; "" if none were."""
    now = commit()
    directories = [plan.directory(system, seed) for seed in seeds for system in systems]
    parts = (DISTILL, "student", plan.task, ".")
    found = Counter(filter(None, (made_by(d / part) for d in directories for part in parts)))
    if not now or not (old := [name for name in found if name != now]):
        return ""
    return (
        f"{plan.exp}: {sum(found[name] for name in old)} of {found.total()} outputs were made by "
        f"commit {', '.join(old)}, not by this one, {now}; they are kept"
    )


def _problems(
    plan: Plan, stages: Sequence[int], systems: Sequence[str], seeds: Sequence[str]
) -> Iterator[Problem]:
    if COPIES not in stages and stages[-1] >= DECODING:
        for test_set in plan.test_sets:
            yield from _of_copies(plan, test_set)
    yield from _of_system(plan, stages, systems, seeds)


def _of_copies(plan: Plan, test_set: Path) -> Iterator[Problem]:
    if plan.protocols == ("none",):
        return
    from espnet_robust.distortion.copies.make import copy_changes, wanted_record  # SciPy
    from espnet_robust.distortion.protocol import left_over, protocol_jobs

    for config in plan.protocols:
        jobs = protocol_jobs(test_set, str(test_set), config, seed=SEED)
        for path in left_over(jobs, str(test_set), config):
            yield COPIES, f"{path}: {config} no longer has this condition"
        for job in jobs:
            if changes := copy_changes(job, wanted_record(job)):
                yield COPIES, f"{job.dst}: {_say(changes)}"
            elif (kept := read_condition(job.dst).protocol) not in plan.protocols:
                # A copy names the last protocol that has it; with others it would be passed over.
                yield COPIES, f"{job.dst}: is now a copy of {kept}, not of {config}"


def _of_system(
    plan: Plan, stages: Sequence[int], systems: Sequence[str], seeds: Sequence[str]
) -> Iterator[Problem]:
    outputs = Outputs(plan)
    for seed in seeds:
        for system in systems:
            for number, output in _taken_over(outputs, stages, system, seed):
                if problem := _problem(output):
                    yield number, f"{output.path}: {problem}"


def _problem(output: Output) -> str:
    """What is wrong with an output, or ""."""
    changes = output.changes()
    if not changes and (damaged := damage(output.path)):
        changes = [damaged]
    if not changes and not output.is_done():
        changes = ["it is not finished"]
    return _say(changes) if changes else ""


def _taken_over(
    outputs: Outputs, stages: Sequence[int], system: str, seed: str
) -> Iterator[tuple[int, Output]]:
    """Yield (stage, its output) for each stage that is skipped while a later one runs."""
    plan = outputs.plan
    taken = {n for n in range(DISTILLATION, SCORING + 1) if n not in stages and n < stages[-1]}
    distilled = system not in NOT_DISTILLED and plan.students is None
    if distilled and DISTILLATION in taken and not _is_exported(outputs, taken, system, seed):
        yield DISTILLATION, outputs.distilled(system, seed)
    if distilled and EXPORT in taken:
        yield EXPORT, outputs.student(system, seed)
    if TRAINING in taken:
        yield TRAINING, outputs.trained(system, seed)
    if DECODING in taken:
        yield from ((DECODING, output) for output in outputs.decoded(system, seed))
    if SCORING in taken:
        yield from ((SCORING, output) for output in outputs.scored(system, seed))
    if PACKING not in stages and stages[-1] > PACKING:
        directory = plan.directory(system, seed)
        yield PACKING, packed(directory, plan.task, plan.checkpoint)


def _is_exported(outputs: Outputs, taken: set[int], system: str, seed: str) -> bool:
    """Whether the student exists, so that the training's checkpoints may have been deleted."""
    training = outputs.distilled(system, seed)
    return EXPORT in taken and not training.changes() and outputs.student(system, seed).is_done()


def _say(changes: list[str]) -> str:
    return changes[0] if changes[0].startswith("it is not") else f"{ELSE}: {summary(changes)}"
