"""Where the ranks of a job meet."""

import socket

import pytest

from espnet_robust.cluster.nodes import hosts, meeting_point


@pytest.mark.parametrize(
    ("node_list", "wanted"),
    [
        ("n1", ["n1"]),
        ("gpu-a[01-03,7]", ["gpu-a01", "gpu-a02", "gpu-a03", "gpu-a7"]),
        ("a-b-1,c-[9-10]", ["a-b-1", "c-9", "c-10"]),
        (
            "rack-[1-2]-node-[098-100]",
            [f"rack-{r}-node-{n}" for r in "12" for n in ("098", "099", "100")],
        ),
    ],
)
def test_hyphenated_lists_of_nodes(node_list, wanted):
    assert hosts(node_list) == wanted


def test_the_first_host_if_the_network_knows_it():
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "localhost,n-a[1-2]"}
    assert meeting_point(job)["MASTER_ADDR"] == "localhost"
    job["SLURM_JOB_NODELIST"] = "no-such-host-[1-2]"
    assert meeting_point(job)["MASTER_ADDR"] == socket.gethostname()


def test_each_job_and_each_of_its_lives_has_a_port_of_its_own():
    jobs = [{"SLURM_JOB_ID": str(n), "SLURM_JOB_NODELIST": "localhost"} for n in range(500, 520)]
    jobs += [job | {"SLURM_RESTART_COUNT": str(n)} for job in jobs[:5] for n in (1, 2, 3)]
    ports = [int(meeting_point(job)["MASTER_PORT"]) for job in jobs]
    assert len({*ports}) == len(jobs) and min(ports) >= 20000 and max(ports) < 30000
