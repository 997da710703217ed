"""A recipe through a real Slurm of two nodes is as on one machine, byte for byte."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from espnet_robust.data.data_dir import read_data_dir
from test.recipes.conftest import saved

SPEAKERS = [f"sp{n:02d}" for n in range(30)]
AN4 = (
    {f"wav/an4_clstk/{s}/an{n}-{s}-b.wav": 1.0 for n, s in enumerate(SPEAKERS)}
    | {f"wav/an4test_clstk/menk/an{n}-menk-b.wav": 1.2 for n in range(3)}
    | {
        "etc/an4_train.fileids": "".join(
            f"an4_clstk/{s}/an{n}-{s}-b\n" for n, s in enumerate(SPEAKERS)
        ),
        "etc/an4_train.transcription": "".join(
            f"<s> GO {['YES', 'NO'][n % 2]} </s> (an{n}-{s}-b)\n" for n, s in enumerate(SPEAKERS)
        ),
        "etc/an4_test.fileids": "".join(f"an4test_clstk/menk/an{n}-menk-b\n" for n in range(3)),
        "etc/an4_test.transcription": "".join(f"YES (an{n}-menk-b)\n" for n in range(3)),
    }
)
TWO = "executor: slurm\narray: 4\nretries: 0\ntrain: {retries: 1}\n"
COPIES = ("data/test_noise_in", "data/test_clip")


@pytest.fixture(scope="module")
def corpus(write_tree, tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("an4"), AN4)


@pytest.fixture(scope="module")
def recipe(checkout, corpus, tiny, noises, mini_teacher):
    """The recipe after all its stages here, with trainings of two processes."""
    recipe = checkout / "egs/an4/asr1"
    (recipe / "conf/cluster").mkdir(parents=True, exist_ok=True)
    (recipe / "conf/cluster/two.yaml").write_text(TWO)
    options = ("--an4", str(corpus), "--systems", "distilhubert", "--tag", "here")
    tiny(recipe, *options, "--num_procs", "2", *mini_teacher, *noises)
    return recipe


def made(exp: Path) -> dict[str, bytes]:
    """What a system's trainings and decoding gave."""
    paths = [exp / "student/model.safetensors", exp / "asr/valid.loss.best.pth"]
    paths += sorted((exp / "decode").rglob("text"))
    assert len(paths) == 5
    return {str(path.relative_to(exp)): path.read_bytes() for path in paths}


def copied(recipe: Path) -> dict[str, bytes]:
    """Tables and audio of the copies."""
    files = {}
    for copy in (recipe / name for name in COPIES):
        for name in ("wav.scp", "utt2distortion", "utt2num_samples", "distortion.files"):
            files[f"{copy.name}/{name}"] = (copy / name).read_bytes()
        for utt, path in read_data_dir(copy).wav.items():
            files[f"{copy.name}/{utt}"] = (recipe / path).read_bytes()
    return files


def pre_empt_after_an_epoch(training: Path, slurm) -> None:
    """Once the first epoch of a training is saved, have Slurm end it and begin it again."""
    while not saved(training, 1):
        time.sleep(0.05)
    (number,) = slurm("squeue", "-h", "-n", job_names(slurm, "distil"), "-o", "%A").split()
    slurm("scontrol", "requeue", number)
    while slurm("squeue", "-h", "-j", number, "-o", "%T").strip() != "PENDING":
        time.sleep(0.1)
    slurm("scontrol", "update", f"JobId={number}", "StartTime=now")  # not in two minutes


def job_names(slurm, title: str) -> str:
    names = slurm("squeue", "-h", "-o", "%j").split()
    return ",".join(name for name in names if name.startswith(f"{title}."))


@pytest.mark.recipe
def test_slurm_gives_the_same_bytes_on_two_nodes(recipe, slurm, tiny, corpus, noises, mini_teacher):
    """Copies by an array; a distillation on two nodes, pre-empted in its second epoch."""
    before = copied(recipe)
    for name in COPIES:
        (recipe / name).rename(recipe / f"{name.replace('test', 'local')}")
    options = ("--an4", str(corpus), "--systems", "distilhubert", "--tag", "slurm")
    options += ("--cluster", "two", "--num_nodes", "2", "--stage", "3")
    distilled = recipe / "exp/slurm/tiny/distilhubert_seed0"
    with ThreadPoolExecutor(1) as pool:
        pre_empting = pool.submit(pre_empt_after_an_epoch, distilled / "distill", slurm)
        tiny(recipe, *options, *mini_teacher, *noises)
        pre_empting.result(timeout=1)
    assert copied(recipe) == before
    assert made(distilled) == made(recipe / "exp/here/tiny/distilhubert_seed0")
    assert "1/2epoch started" not in (distilled / "distill.log").read_text(), "of its second life"
    (log,) = (recipe / "exp/slurm/tiny/jobs").glob("distil_*.log")
    assert log.read_text().count("# 20") == 2, "two lives of one job"


@pytest.mark.recipe
def test_dry_run_shows_jobs_and_does_nothing(recipe, run, noises):
    caches = (".pyc", ".audio")  # of Python, and of digests
    listed = sorted(path for path in recipe.rglob("*") if path.suffix not in caches)
    shown = run(
        recipe, "--an4", "none", "--cluster", "slurm", "--dry_run", "true", "--tag", "new",
        "--stage", "3", "--systems", "teacher distilhubert", "--num_nodes", "2", "--ngpu", "4",
        *noises,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "distil: 1 job to slurm: array 64, cpus 4" in shown.stdout
    assert "gpus 4, nodes 2\n  distil_distilhubert_seed0: " in shown.stdout
    assert "decode_one: 2 jobs" in shown.stdout and "gpus 1, nodes 1" in shown.stdout
    assert listed == sorted(path for path in recipe.rglob("*") if path.suffix not in caches)


@pytest.mark.recipe
def test_a_teacher_is_pretrained_once_whatever_the_number_of_nodes(checkout, run):
    shown = run(
        checkout / "egs/mini/asr1", "--pretrain_teacher", "true", "--cluster", "slurm",
        "--dry_run", "true", "--stage", "4", "--stop_stage", "7", "--num_nodes", "2", "--ngpu", "4",
        "--systems", "distilhubert",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    begins = [line for line in shown.stdout.splitlines() if " to slurm: " in line]
    counts = {line.partition(":")[0]: line.partition("gpus ")[2] for line in begins}
    assert counts["teacher"] == "1, nodes 1"
    assert counts["distil"] == counts["train_one"] == "4, nodes 2"
