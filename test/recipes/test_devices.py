"""Which GPUs the jobs of a stage that run at a time are told; no GPU is needed."""

import subprocess

import pytest

# a ends when d does, so that b, c and d follow each other beside it.
JOB = """
job() {
    echo "$1 ${CUDA_VISIBLE_DEVICES-unset}" >>"${exp}/took"
    if [ "$1" = a ]; then until [ -e "${exp}/ended" ]; do sleep 0.01; done; fi
    if [ "$1" = d ]; then touch "${exp}/ended"; fi
}
submit() { :; }
die() { echo "error: $*" >&2; exit 1; }
live_lines() { echo 0; }
set -euo pipefail
exec 3>&2
nj=2 seeds=0 systems="a b c d" cluster=
"""


@pytest.fixture
def took(root, tmp_path):
    """took(kind, train, decode) -> {system: CUDA_VISIBLE_DEVICES} of each_system with nj=2."""
    stages = (root / "egs/TEMPLATE/stages.sh").read_text()
    _, begin, rest = stages.partition("each_system() {\n")
    function = begin + rest.partition("\n}\n")[0] + "\n}\n"

    def took(kind: str, train: str, decode: str) -> dict[str, str]:
        given = f"exp={tmp_path} train_devices='{train}' decode_devices='{decode}'\n"
        script = f"{JOB}{given}{function}each_system job {kind}"
        subprocess.run(["bash", "-c", script], check=True, timeout=60)
        return dict(line.split() for line in (tmp_path / "took").read_text().splitlines())

    return took


def test_a_job_takes_the_gpus_of_the_one_that_has_ended(took):
    assert took("train", "0,1 2,3", "0 1") == {"a": "0,1", "b": "2,3", "c": "2,3", "d": "2,3"}


def test_decoding_takes_one_gpu(took):
    assert took("decode", "0,1 2,3", "0 1") == {"a": "0", "b": "1", "c": "1", "d": "1"}


@pytest.mark.parametrize(("kind", "devices"), [("train", ""), ("", "0 1")])
def test_without_gpus_the_environment_stays(took, monkeypatch, kind, devices):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert took(kind, devices, devices) == dict.fromkeys("abcd", "7")
