"""Run one training as several processes, each on its own GPU or CPU core.

    espnet-robust launch --processes 4 espnet_robust.bin.distill_train --ngpu 1 ...
    espnet-robust launch --processes 4 espnet_robust.run espnet2.bin.asr_train --ngpu 1 ...

Give MODULE and its options as you would after `python -m`. torchrun starts the processes; each
takes its share of every batch. --ngpu is per process: 1, or 0 for the CPU, which needs
--dist_backend gloo. With several nodes, run this command on each with its own --node_rank.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from espnet_robust.common.cli import Parser, run
from espnet_robust.common.ending import RECIPES
from espnet_robust.common.launch import PORT


def get_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="espnet-robust launch", description=__doc__)
    parser.add_argument(
        "--processes", type=int, required=True, metavar="N", help="number on this node"
    )
    parser.add_argument(
        "--nodes", type=int, default=1, metavar="N", help="number of nodes; default: 1"
    )
    parser.add_argument(
        "--node_rank", type=int, default=0, metavar="N", help="this node, counted from 0"
    )
    parser.add_argument("--master_addr", default="127.0.0.1", metavar="HOST", help="host of node 0")
    parser.add_argument(
        "--master_port",
        type=int,
        metavar="N",
        help=f"default: any free one; with several nodes {PORT}",
    )
    parser.add_argument("module", metavar="MODULE", help="Python module of the training")
    parser.add_argument(
        "options", nargs=argparse.REMAINDER, metavar="...", help="options of MODULE"
    )
    return parser


def main(cmd: Sequence[str] | None = None) -> None:
    parser = get_parser()
    args = parser.parse_args(cmd)
    if args.processes < 1 or not 0 <= args.node_rank < args.nodes:
        parser.error("need --processes from 1, and --node_rank from 0 to less than --nodes")
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    _prepare_environment()
    try:
        torchrun.run(torchrun.parse_args([*_torchrun_options(args), args.module, *args.options]))
    except ChildFailedError as e:
        _report(e.failures, args.nodes * args.processes)
        sys.exit(1)
    except SignalException as e:
        sys.exit(128 + e.sigval)


def _torchrun_options(args: argparse.Namespace) -> list[str]:
    words = ["--nproc_per_node", str(args.processes), "--max_restarts", "0", "--module"]
    if args.nodes == 1 and args.master_port is None:
        return ["--standalone", *words]
    words += ["--nnodes", str(args.nodes), "--node_rank", str(args.node_rank)]
    return [
        *words, "--master_addr", args.master_addr, "--master_port", str(args.master_port or PORT)
    ]  # fmt: skip


def _prepare_environment() -> None:
    """Set the environment that the ranks inherit."""
    # The ranks end when this process does, even if it is killed and cannot end them.
    os.environ[RECIPES] = f"{os.environ.get(RECIPES, '')} {os.uname().nodename}:{os.getpid()}"
    # ESPnet counts the GPUs that this names, and on a CPU would find too few for the second rank.
    if not os.environ.get("CUDA_VISIBLE_DEVICES", "all"):
        del os.environ["CUDA_VISIBLE_DEVICES"]
    os.environ.setdefault("NCCL_DEBUG", "WARN")  # ESPnet sets INFO, which prints pages


def _report(failures: dict, total: int) -> None:
    """Report which rank failed first; the others fail or are stopped because of it."""

    def likely(rank: int) -> int:
        followed = (-signal.SIGABRT, -signal.SIGTERM)  # lost a peer; stopped by torchrun
        code = failures[rank].exitcode
        return followed.index(code) + 2 if code in followed else code > 0

    rank = min(sorted(failures), key=likely)
    code, host = failures[rank].exitcode, os.uname().nodename
    if code > 0:  # its own message says what was wrong
        print(f"rank {rank} of {total} on {host} ended with status {code}", file=sys.stderr)
    elif code == -signal.SIGTERM:  # all ranks got it
        print(f"error: one of {total} ranks on {host} was ended by SIGTERM", file=sys.stderr)
    else:
        how = "SIGKILL; out of memory?" if code == -signal.SIGKILL else signal.Signals(-code).name
        print(f"error: rank {rank} of {total} on {host} was killed by {how}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
