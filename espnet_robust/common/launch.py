"""Start one training as several processes, on one node or several.

Each process (a rank) takes its share of every batch, on a GPU of its own or, for tests and small
work, on a CPU. torchrun starts the ranks of a node and ends them all when one of them fails.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from espnet_robust.common.errors import ConfigError

BACKENDS = ("nccl", "gloo")
PORT = 29500  # torchrun's own
# Environment variables that tell each node its number and the address of the first node.
NODE_RANK, MASTER_ADDR, MASTER_PORT = "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"
TRAINING_STAGES = (5, 7)  # of a recipe
# Utterance id of the batch of a rank that has no utterance of its own (``plugin/shares.py``).
IDLE = "<idle>"


def torchrun_command(
    command: Sequence[str],
    processes: int,
    nodes: int = 1,
    node_rank: int = 0,
    master_addr: str = "127.0.0.1",
    master_port: int | None = None,
) -> list[str]:
    """The command to run on one node so that ``command`` runs there in ``processes`` ranks.

    It ends with status 0 if all ranks do. If one fails, it ends the other ranks of its node, names
    the failed rank in one line on stderr, and ends with status 1. SIGTERM ends all ranks.

    Args:
        command: a module and its options, as after ``python -m``.
        processes: ranks per node.
        nodes: number of nodes, each of which must run its own such command; there are
            ``nodes * processes`` ranks.
        node_rank: number of this node, from 0.
        master_addr: the host of node 0, as the others reach it.
        master_port: a free port there; None: any, or ``PORT`` with several nodes.
    """
    words = ["--processes", str(processes)]
    if nodes > 1:
        words += ["--nodes", str(nodes), "--node_rank", str(node_rank)]
        words += ["--master_addr", master_addr, "--master_port", str(master_port or PORT)]
    elif master_port is not None:
        words += ["--master_port", str(master_port)]
    return [sys.executable, "-m", "espnet_robust.bin.launch", *words, *command]


@dataclass(frozen=True)
class Ranks:
    """The processes of one training.

    Args:
        ngpu: GPUs per node, with a process each; 0: CPU.
        num_procs: processes per node, without GPUs.
        num_nodes: number of nodes.
        backend: one of BACKENDS; "" is nccl on GPUs, gloo without.

    Raises:
        ConfigError: these contradict each other.
    """

    ngpu: int = 0
    num_procs: int = 1
    num_nodes: int = 1
    backend: str = ""

    def __post_init__(self) -> None:
        if self.ngpu and self.num_procs > 1:
            raise ConfigError(
                f"num_procs {self.num_procs}: each of the {self.ngpu} GPUs has one process; leave "
                "it out, or take --ngpu 0"
            )
        if self.backend and self.backend not in BACKENDS:
            raise ConfigError(f"dist_backend {self.backend!r}: use {' or '.join(BACKENDS)}")
        if self.backend == "nccl" and not self.ngpu:
            raise ConfigError("dist_backend nccl is for GPUs; take gloo, or --ngpu N")

    @property
    def per_node(self) -> int:
        """Number of processes per node."""
        return self.ngpu or self.num_procs

    @property
    def total(self) -> int:
        """Total number of processes."""
        return self.per_node * self.num_nodes

    def command(
        self, module: Sequence[str], options: Sequence[str], environment: Mapping[str, str]
    ) -> list[str]:
        """The command that trains with ESPnet's ``options`` on this node.

        Args:
            module: as after ``python -m``: its name, and what comes before the options.
            environment: identifies this node if there are several, see ``node_of``.

        Raises:
            ConfigError: the environment does not identify the node.
        """
        # ESPnet's --ngpu is per process; with more than 1 it would copy the model in each step.
        words = [*module, *options, "--ngpu", str(min(self.ngpu, 1))]
        if self.total == 1:
            return [sys.executable, "-m", *words]
        words += ["--dist_backend", self.backend or ("nccl" if self.ngpu else "gloo")]
        if self.num_nodes == 1:
            return torchrun_command(words, self.per_node)
        node, address, port = node_of(self.num_nodes, environment)
        return torchrun_command(words, self.per_node, self.num_nodes, node, address, port)


def ranks_of(ngpu: str, num_procs: str, num_nodes: str, backend: str) -> Ranks:
    """``Ranks`` from options given as text. Raises ConfigError if they are wrong or not numbers."""
    for name, value, what in (
        ("ngpu", ngpu, "GPUs"), ("num_procs", num_procs, "processes"),
        ("num_nodes", num_nodes, "nodes"),
    ):  # fmt: skip
        if not value.isdecimal() or (name != "ngpu" and not int(value)):
            raise ConfigError(f"{name} {value!r} is not a number of {what}")
    return Ranks(int(ngpu), int(num_procs), int(num_nodes), backend)


def visible_devices(count: int, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The names by which CUDA_VISIBLE_DEVICES has the ``count`` GPUs that torch finds."""
    given = environment.get("CUDA_VISIBLE_DEVICES")
    names = given.split(",") if given else map(str, range(count))
    return [name.strip() for name in names][:count]


def devices_of(slot: int, ngpu: int, visible: Sequence[str]) -> list[str]:
    """The GPUs of one of several trainings side by side, shared if there are too few for all.

    Args:
        slot: number of the training among them, from 0.
        ngpu: GPUs of each, at most as many as are visible.
        visible: names of all GPUs.

    >>> [devices_of(slot, 2, ["0", "1", "2", "3"]) for slot in range(3)]
    [['0', '1'], ['2', '3'], ['0', '1']]
    """
    return [visible[(slot * ngpu + number) % len(visible)] for number in range(ngpu)]


def node_of(nodes: int, environment: Mapping[str, str] = os.environ) -> tuple[int, str, int]:
    """(rank of this node, host of the first one, port there) of several nodes.

    They come from ``NODE_RANK`` (or ``SLURM_NODEID``), ``MASTER_ADDR`` and ``MASTER_PORT`` in the
    environment, set by whatever starts the command on each node.

    Raises:
        ConfigError: one is missing or wrong.
    """
    rank = environment.get(NODE_RANK) or environment.get("SLURM_NODEID", "")
    address, port = environment.get(MASTER_ADDR, ""), environment.get(MASTER_PORT) or str(PORT)
    if not address or not rank.isdecimal() or int(rank) >= nodes:
        raise ConfigError(
            f"num_nodes {nodes}: run the same command on each node, with {NODE_RANK} from 0 to "
            f"{nodes - 1} and {MASTER_ADDR}, the host of node 0, in the environment; here they "
            f"are {rank!r} and {address!r}"
        )
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"{MASTER_PORT} {port!r} is not a port")
    return int(rank), address, int(port)


def check_nodes(
    nodes: int, nj: str, stages: Sequence[int], environment: Mapping[str, str] = os.environ
) -> None:
    """Check a recipe's command that is run on each of several nodes, without a cluster.

    Args:
        nj: how many trainings run at a time; all nodes have one port to meet at.
        stages: those to run; only trainings can be shared by nodes.

    Raises:
        ConfigError: the nodes would do the same work beside each other, or one is not identified.
    """
    if len(stages) > 1 or stages[0] not in TRAINING_STAGES:
        raise ConfigError(
            f"num_nodes {nodes}: without --cluster, nodes share one training stage at a time: run "
            "--stage 5 --stop_stage 5 --nj 1 on each node, and later --stage 7 --stop_stage 7 "
            "--nj 1; all other stages on one node, without --num_nodes"
        )
    if nj != "1":
        raise ConfigError(
            f"num_nodes {nodes}: without --cluster, nodes share one training at a time: add --nj 1"
        )
    node_of(nodes, environment)
