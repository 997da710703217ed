"""Rehearse the GPU recipes; tools/rehearse.sh describes how."""

import argparse
import csv
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from espnet_robust.common.errors import UserError
from espnet_robust.common.processes import end_with_parent
from espnet_robust.corpora.espeak import version
from rehearsal import noise_corpora, speech_corpora
from rehearsal.checkout import ROOT, copy_checkout, with_own_python
from rehearsal.files import write_tree
from rehearsal.recipes import REHEARSALS, Rehearsal
from rehearsal.teachers import make_hub

TREES = {
    name: getattr(module, name)
    for module, names in (
        (speech_corpora, "librispeech an4 chime4 fluent_speech_commands iemocap speech_commands"),
        (noise_corpora, "musan wham fsd50k dns rirs_noises esc10"),
    )
    for name in names.split()
}


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rehearse.sh", description=__doc__)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="directory for corpora, copies and logs; made if missing",
    )
    parser.add_argument("--only", nargs="+", choices=REHEARSALS, default=[*REHEARSALS])
    parser.add_argument("--systems", help="train these instead of each rehearsal's own")
    return parser


def main() -> int:
    args = get_parser().parse_args()
    version()
    out = args.out.resolve()
    corpora = make_corpora(out / "corpora")
    hub = out / "hub"
    if not hub.is_dir():
        make_hub(out / "hub.part")
        (out / "hub.part").rename(hub)
    environment = with_own_python() | {"HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}
    every_kind_of_rirs_noises(corpora, out / "rirs_noises", environment)
    failed = []
    print("| rehearsal | systems | conditions | minutes | CPU minutes | peak GB so far |")
    print("|---|---|---:|---:|---:|---:|", flush=True)
    for name in args.only:
        given = replace(REHEARSALS[name], systems=args.systems or REHEARSALS[name].systems)
        begun, before = time.monotonic(), used()[0]
        try:
            found = rehearse(given, corpora, out / name, environment)
        except UserError as e:
            print(f"error: {name}: {e}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        seconds, (cpu, memory) = time.monotonic() - begun, used()
        figures = f"{seconds / 60:.1f} | {(cpu - before) / 60:.1f} | {memory:.1f}"
        print(f"| {name} | {given.systems} | {found} | {figures} |", flush=True)
    if failed:
        print(f"error: failed: {', '.join(failed)}; logs in {out}", file=sys.stderr)
    return bool(failed)


def used() -> tuple[float, float]:
    """CPU seconds of all commands so far, and the memory of the largest of them in GB."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def make_corpora(root: Path) -> Path:
    """Make a directory for each corpus that does not exist yet."""
    for name, tree in TREES.items():
        if not (root / name).is_dir():
            write_tree(root / f"{name}.part", tree()).rename(root / name)
    return root


def every_kind_of_rirs_noises(corpora: Path, out: Path, environment: Mapping[str, str]) -> None:
    """Prepare all of RIRS_NOISES; recipes read only the part that the DNS-Challenge includes."""
    for kind in ("real", "simulated", "isotropic", "point"):
        command = ["espnet_robust.bin.prepare_corpus", "rirs_noises", "--kind", kind]
        command += ["--root", str(corpora / "rirs_noises"), "--out", str(out)]
        subprocess.run(
            [sys.executable, "-m", *command], check=True, env=environment, cwd=ROOT,
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def rehearse(given: Rehearsal, corpora: Path, out: Path, environment: Mapping[str, str]) -> int:
    """Run every stage of a recipe in a copy of the checkout.

    Returns:
        The number of conditions in its table.

    Raises:
        UserError: the recipe failed, or its table is not complete.
    """
    checkout = out / "checkout"
    shutil.rmtree(checkout, ignore_errors=True)
    copy_checkout(checkout)
    recipe, log = checkout / "egs" / given.recipe, out / "log.txt"
    command = ["./run.sh", *given.command(str(corpora))]
    with open(log, "w", encoding="utf-8") as file:
        print("cd", recipe, "&&", *(f"'{word}'" for word in command), file=file, flush=True)
        done = subprocess.run(
            command, cwd=recipe, env=environment | {"PYTHONPATH": str(checkout)},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False,
            preexec_fn=end_with_parent,
        )  # fmt: skip
    if done.returncode:
        raise UserError(f"{_error(log)}; see {log}")
    table = recipe / f"exp/report/{given.metric}.csv"
    return check_table(table, given.systems.split(), given.conditions)


def check_table(path: Path, systems: Sequence[str], conditions: int) -> int:
    """Check that a table has this many conditions, and a figure for every system in each.

    Returns:
        The number of conditions.

    Raises:
        UserError: it does not.
    """
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    scored = {(row["system"], row["condition"]) for row in rows if float(row[path.stem]) >= 0}
    names = {condition for _, condition in scored}
    if len(names) != conditions:
        raise UserError(f"{path}: {len(names)} conditions instead of {conditions}")
    if missing := [(s, c) for s in systems for c in sorted(names) if (s, c) not in scored]:
        raise UserError(f"{path}: no figure for {' under '.join(missing[0])}")
    return len(names)


def _error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    return (errors or lines[-1:] or ["no output"])[0]


if __name__ == "__main__":
    sys.exit(main())
