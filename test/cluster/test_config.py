"""conf/cluster/*.yaml, and commands as the shell hands them over."""

import re
import subprocess
import sys
from dataclasses import fields

import pytest

from espnet_robust.cluster.config import KINDS, Cluster, read_cluster
from espnet_robust.cluster.executors import sbatch_parameters
from espnet_robust.cluster.records import read_commands
from espnet_robust.common.errors import ConfigError


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_those_that_ship_are_read(name):
    cluster = read_cluster(name)
    assert cluster.executor == name
    assert all(cluster.of(kind).array >= 1 for kind in KINDS)


def test_a_recipe_comes_first_and_kinds_differ(tmp_path):
    folder = tmp_path / "conf/cluster"
    folder.mkdir(parents=True)
    (folder / "slurm.yaml").write_text(
        "executor: slurm\naccount: speech\nmem_gb: 2\nrequeue: false\n"
        "train: {time_min: 99, cpus: 8, sbatch: {qos: long}}\n"
    )
    cluster = read_cluster("slurm", tmp_path)
    given = sbatch_parameters(cluster.of("train"), gpus=4, nodes=2)
    wanted = {"account": "speech", "time": 99, "mem": "2048M", "cpus_per_task": 8, "nodes": 2}
    assert wanted | {"gpus_per_node": 4, "array_parallelism": 16} == {
        key: given[key] for key in (*wanted, "gpus_per_node", "array_parallelism")
    }
    more = {"qos": "long", "no-requeue": True, "signal": "TERM@30"}
    assert given["additional_parameters"] == more
    assert "partition" not in given
    assert cluster.of("data").time_min == Cluster("slurm").time_min


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("executor: slrm", "executor 'slrm': local or slurm"),
        ("executor: slurm\ntime: 3", "unknown key 'time', did you mean 'time_min'?"),
        ("executor: slurm\narray: 0", "array 0: need a number of at least 1"),
        ("executor: slurm\nretries: -1", "retries -1: need a number of at least 0"),
        ("executor: slurm\nmem_gb: much", "mem_gb 'much': need a number of at least 0.1"),
        ("executor: slurm\nmem_gb: .nan", "mem_gb nan: need a number of at least 0.1"),
        ("executor: slurm\nmem_gb: .inf", "mem_gb inf: need a number of at least 0.1"),
        ("executor: slurm\npartition: 5", "partition 5: need a name; if it is a number, in quotes"),
        ("executor: slurm\naccount: [a]", "account ['a']: need a name"),
        ("executor: slurm\nrequeue: 3", "requeue 3: need true or false"),
        ("executor: slurm\nsetup: module load x", "setup 'module load x': a list of shell lines"),
        ("executor: slurm\nsetup: [1]", "setup [1]: a list of shell lines, each in quotes"),
        ("executor: slurm\nsbatch: long", "sbatch 'long': a mapping of options"),
        ("executor: slurm\nsbatch: {1: 2}", "sbatch: 1: need the name of an option, such as qos"),
        ("executor: slurm\nsbatch: {qos: [a]}", "sbatch: qos: ['a']: need text, a number, or true"),
        ("executor: slurm\nsbatch: {qos: }", "sbatch: qos: None: need text, a number, or true"),
        ("executor: slurm\nsbatch: {x: no}", "sbatch: x: False: need text, a number, or true"),
        ("executor: slurm\ndata: {train: {}}", "data: train: options of other jobs do not belong"),
        ("executor: slurm\ntrain: {partition: 5}", "train: partition 5: need a name"),
        ("executor: slurm\ntrain: {cpu: 3}", "train: unknown key 'cpu', did you mean 'cpus'?"),
        ("array: 3", "missing key 'executor'"),
    ],
)
def test_mistakes(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as e:
        read_cluster(str(path))
    assert message in str(e.value) and str(path) in str(e.value)
    assert "\n" not in str(e.value)


def test_a_name_that_there_is_not():
    with pytest.raises(ConfigError, match=r"--cluster slrm: .*did you mean 'slurm'"):
        read_cluster("slrm")


def test_commands_of_a_shell(root):
    words = ["", "a b", "it's", '"$HOME"', "two\nlines", "é"]
    stages = (root / "egs/TEMPLATE/stages.sh").read_text()
    (keep,) = re.findall(r"^ +(commands\+=.*)", stages, re.MULTILINE)
    script = f'job=one; {keep}; cat <<<"${{commands}}"'
    done = subprocess.run(["bash", "-c", script, "", "score", *words], capture_output=True)
    commands = read_commands(done.stdout.decode())
    assert commands == {"one": [sys.executable, "-m", "espnet_robust.bin.score", *words]}


def test_every_key_is_explained(root):
    page = (root / "conf/cluster/README.md").read_text()
    rows = re.findall(r"^\| (`[\w`, ]+`) \|", page, re.MULTILINE)
    keys = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert keys == {field.name for field in fields(Cluster)}
