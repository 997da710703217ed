"""How many processes a training has, and what starts them."""

import sys

import pytest

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.launch import (
    PORT,
    check_nodes,
    devices_of,
    node_of,
    ranks_of,
    visible_devices,
)

TRAIN = ["espnet_robust.bin.distill_train"]
PYTHON = [sys.executable, "-m"]
LAUNCH = [*PYTHON, "espnet_robust.bin.launch"]
NODE = {"NODE_RANK": "1", "MASTER_ADDR": "gpu-a-1"}


@pytest.mark.parametrize(
    ("options", "start", "end"),
    [
        (("0", "1", "1", ""), [*PYTHON, *TRAIN], ["--ngpu", "0"]),
        (("1", "1", "1", "nccl"), [*PYTHON, *TRAIN], ["--ngpu", "1"]),
        (
            ("4", "1", "1", ""), [*LAUNCH, "--processes", "4", *TRAIN],
            ["--ngpu", "1", "--dist_backend", "nccl"],
        ),
        (
            ("0", "2", "1", ""), [*LAUNCH, "--processes", "2", *TRAIN],
            ["--ngpu", "0", "--dist_backend", "gloo"],
        ),
        (
            ("1", "1", "2", "gloo"),
            [*LAUNCH, "--processes", "1", "--nodes", "2", "--node_rank", "1", "--master_addr",
             "gpu-a-1", "--master_port", str(PORT), *TRAIN],
            ["--ngpu", "1", "--dist_backend", "gloo"],
        ),
    ],
)  # fmt: skip
def test_command(options, start, end):
    given = ranks_of(*options).command(TRAIN, ["--seed", "0"], NODE)
    assert given == [*start, "--seed", "0", *end]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("x", "1", "1", ""), "ngpu 'x' is not a number of GPUs"),
        (("0", "0", "1", ""), "num_procs '0' is not a number of processes"),
        (("0", "1", "0", ""), "num_nodes '0' is not a number of nodes"),
        (("2", "2", "1", ""), "num_procs 2: each of the 2 GPUs has one process; leave it out"),
        (("0", "2", "1", "mpi"), "dist_backend 'mpi': use nccl or gloo"),
        (("0", "2", "1", "nccl"), "dist_backend nccl is for GPUs; take gloo, or --ngpu N"),
    ],
)
def test_what_does_not_go_together(options, message):
    with pytest.raises(ConfigError, match=message):
        ranks_of(*options)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        (NODE, (1, "gpu-a-1", PORT)),
        ({"SLURM_NODEID": "0", "MASTER_ADDR": "a", "MASTER_PORT": "4000"}, (0, "a", 4000)),
        (NODE | {"SLURM_NODEID": "0"}, (1, "gpu-a-1", PORT)),
    ],
)
def test_which_node(environment, found):
    assert node_of(2, environment) == found


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "num_nodes 2: run the same command on each node, with NODE_RANK from 0 to 1"),
        ({"NODE_RANK": "1"}, "here they are '1' and ''"),
        (NODE | {"NODE_RANK": "2"}, "here they are '2' and 'gpu-a-1'"),
        (NODE | {"MASTER_PORT": "70000"}, "MASTER_PORT '70000' is not a port"),
    ],
)
def test_a_node_that_is_not_told(environment, message):
    with pytest.raises(ConfigError, match=message):
        node_of(2, environment)


@pytest.mark.parametrize("stage", [5, 7])
def test_nodes_without_a_cluster_share_one_training_stage(stage):
    check_nodes(2, "1", [stage], NODE)


@pytest.mark.parametrize(
    ("nj", "stages", "environment", "message"),
    [
        ("1", [5, 6, 7], NODE, "num_nodes 2: .* run --stage 5 --stop_stage 5 --nj 1 on each node"),
        ("1", [5, 7], NODE, "one training stage at a time"),
        ("1", [4], NODE, "all other stages on one node, without --num_nodes"),
        ("2", [5], NODE, "num_nodes 2: .* one training at a time: add --nj 1"),
        ("1", [5], {}, "num_nodes 2: run the same command on each node, with NODE_RANK"),
    ],
)
def test_nodes_that_would_do_the_same_work_are_refused(nj, stages, environment, message):
    with pytest.raises(ConfigError, match=message):
        check_nodes(2, nj, stages, environment)


@pytest.mark.parametrize(
    ("ngpu", "visible", "of_slots"),
    [
        (1, "0 1 2 3", ["0", "1", "2", "3"]),
        (2, "0 1 2 3", ["0 1", "2 3", "0 1", "2 3"]),
        (2, "0 1 2", ["0 1", "2 0", "1 2", "0 1"]),
        (1, "5", ["5", "5", "5", "5"]),
        (1, "3 GPU-8a", ["3", "GPU-8a", "3", "GPU-8a"]),
    ],
)
def test_trainings_side_by_side_take_the_gpus_in_turn(ngpu, visible, of_slots):
    assert [" ".join(devices_of(slot, ngpu, visible.split())) for slot in range(4)] == of_slots


@pytest.mark.parametrize(
    ("environment", "visible"),
    [
        ({}, ["0", "1"]),
        ({"CUDA_VISIBLE_DEVICES": "3,1"}, ["3", "1"]),
        ({"CUDA_VISIBLE_DEVICES": "3, 1,99"}, ["3", "1"]),  # torch stops at one that is not there
    ],
)
def test_gpus_keep_the_names_that_they_are_given(environment, visible):
    assert visible_devices(2, environment) == visible
