"""Several nodes of one job: each runs the command, and knows which it is and where the first is."""

import os
import socket
from collections.abc import Mapping, Sequence

# Ports for the ranks of a job to meet; Linux gives none of these out by itself.
_PORTS = range(20000, 30000)


def srun_command(command: Sequence[str], nodes: int) -> list[str]:
    """What the first node of a job runs, so that each of them runs ``command`` once.

    When it fails on one node, it is ended on the others. Each node finds its number in
    ``SLURM_NODEID``.
    """
    cpus = os.environ.get("SLURM_CPUS_PER_TASK")  # which srun does not take over by itself
    options = [f"--cpus-per-task={cpus}"] if cpus else []
    options += [f"--nodes={nodes}", "--ntasks-per-node=1", "--kill-on-bad-exit=1", "--unbuffered"]
    return ["srun", *options, *command]


def meeting_point(environment: Mapping[str, str]) -> dict[str, str]:
    """``MASTER_ADDR`` and ``MASTER_PORT`` for the ranks of a job.

    Args:
        environment: what Slurm tells the first node of the job.

    Each life of a job that is begun again after pre-emption has a port of its own, so that nothing
    left of the one before can join it.
    """
    life = int(environment["SLURM_JOB_ID"]) + 7919 * int(environment.get("SLURM_RESTART_COUNT", 0))
    return {"MASTER_ADDR": _first_host(environment), "MASTER_PORT": str(_PORTS[life % len(_PORTS)])}


def _first_host(environment: Mapping[str, str]) -> str:
    """The first of the job's hosts, as the others reach it; the job itself runs on it."""
    host = hosts(environment["SLURM_JOB_NODELIST"])[0]
    try:
        socket.getaddrinfo(host, None)
    except OSError:  # Slurm's name for it is not that of the network
        return socket.gethostname()
    return host


def hosts(node_list: str) -> list[str]:
    """The hosts in ``SLURM_JOB_NODELIST``, without scontrol, which nodes may not have.

    >>> hosts("gpu-a[01-03,7],x-1")
    ['gpu-a01', 'gpu-a02', 'gpu-a03', 'gpu-a7', 'x-1']
    """
    from submitit.slurm.slurm import _parse_node_list

    return _parse_node_list(node_list)
