"""What recipes refuse before they do anything."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from espnet_robust.data.audio import RATE
from espnet_robust.data.data_dir import write_data_dir

MINI = ("--preset=mini", "--noise_source", "synthetic")
STAGE_5 = ("--stage", "5", "--stop_stage", "5")


@pytest.mark.recipe
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--systems", "teacher cdm9"), "unknown system 'cdm9'"),
        (
            ("--systems", "teacher", "distilhubert", "--budget", "nosuch"),
            "unexpected 'distilhubert': quote lists, --systems \"a b\"",
        ),
        (
            ("--asr_args", "--best_model_criterion [[valid,cer_ctc,min]]"),
            "valid.loss.best.pth would not be kept: best_model_criterion gives valid.cer_ctc.best",
        ),
        (
            ("--distill_args", "--best_model_criterion [[valid,loss,min]]"),
            "valid.distill.best.pth would not be kept: best_model_criterion gives valid.loss.best",
        ),
        (
            ("--pretrain_teacher", "true", "--teacher", "teacher"),
            "makes exp/teacherN and takes it as the teacher: leave out one",
        ),
        (("--nbpe", "foo"), "--nbpe 'foo': need the size of a BPE vocabulary, a whole number"),
        (("--checkpoint", "nope.pth"), "nope.pth would not be kept: best_model_criterion gives"),
        (("--stage", "13"), "stage '13' does not exist"),
        (("--stop_stage", "12"), "stage 12 uploads to the hub: name a repository, --upload_hf"),
        (("--stop_stage", "12", "--upload_hf", "mini"), "--upload_hf 'mini' is not a repository"),
        (("--stop_stage", "12", "--upload_hf", "me/mini"), "upload: no token for the hub"),
        (
            ("--stop_stage", "11", "--upload_hf", f"me/{'m' * 80}", "--systems", "robust_plus"),
            "m-robust_plus_seed0-asr, of 105 characters; on the hub a name has no .. or --",
        ),
        (("--upload_hf", "me/mini"), "--upload_hf: stage 12 uploads: add --stop_stage 12"),
        (("--hf_repo", "me/mini"), "unknown option --hf_repo (here: --upload_hf)"),
        (("--stop_stage", "3", "--skip_data_prep", "true"), "no stage from 1 to 3 is left"),
        (("--asr_args", "5"), "--asr_args: '5' belongs to no option"),
        (("--asr_args", "--encoder_conf num_layer=3"), "blstm has no option 'num_layer', did you"),
        (("--score_options", "--case title"), "--score_options: argument --case: invalid choice"),
        (("--score_options=--symbol",), "--score_options: unrecognized arguments: --symbol"),
        (("--score_options", "--symbols no.txt"), "no.txt: cannot be read"),
        (("--score_opts", "x"), "unknown option --score_opts (here: --score_options)"),
        (("--dumpdir", "data/deep"), "--dumpdir data/deep: it is inside data, which is to become"),
        (("--root", "/data"), "unknown option --root;"),
        (("--stop_stage", "x"), "stage 'x' does not exist"),
        (("--budget", "huge"), "no budget 'huge'"),
        (("--sistems", "teacher"), "unknown option --sistems"),
        (("--dry_run", "true"), "--dry_run shows what would be submitted: add --cluster NAME"),
        (("--cluster", "slrm"), "--cluster slrm: there is no slrm.yaml, did you mean 'slurm'?"),
        (("--nj", "0"), "nj '0' is not a number of processes"),
        (("--ngpu", "x"), "ngpu 'x' is not a number of GPUs"),
        (("--ngpu", "1"), "ngpu 1: torch finds 0 here, and stages 5 to 8 use them"),
        (("--ngpu", "2"), "ngpu 2: torch finds 0 here, and stages 5 to 8 use them"),
        (("--num_procs", "2", "--dist_backend", "nccl"), "dist_backend nccl is for GPUs"),
        (("--num_nodes", "2"), "num_nodes 2: without --cluster, nodes share one training stage"),
        (
            ("--num_nodes", "2", *STAGE_5),
            "nodes share one training at a time: add --nj 1",
        ),
        (
            ("--num_nodes", "2", "--nj", "1", *STAGE_5),
            "num_nodes 2: run the same command on each node, with NODE_RANK",
        ),
    ],
)
def test_mini_refuses(checkout, run, options, message, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("HF_HOME", str(checkout / "no_token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    result = run(checkout / "egs/mini/asr1", *options)
    assert result.returncode == 1
    (error,) = result.stderr.splitlines()  # before the lines on what the run would take
    assert error.startswith("error: ") and message in error


def _write_sets(folder, *names):
    """Data dirs with two utterances each."""
    wav = folder / "u.wav"
    folder.mkdir(parents=True)
    soundfile.write(wav, np.sin(np.arange(RATE)) / 2, RATE)
    for name in names:
        texts = {"wav.scp": str(wav), "text": "hello", "utt2spk": "s"}
        tables = {file: {"s-u": entry, "s-v": entry} for file, entry in texts.items()}
        write_data_dir(folder / name, tables | {"utt2label": {"s-u": "a", "s-v": "b"}})


@pytest.fixture
def own(checkout, run, tmp_path):
    """own(*options): an own recipe's stage 3, its data prepared, nothing to be distorted."""
    recipe = checkout / "egs" / tmp_path.name / "cls1"
    (recipe / "local").mkdir(parents=True)
    (recipe / "local/data.sh").touch(0o755)
    driver = '#!/usr/bin/env bash\nset -eu\nexec ../../TEMPLATE/cls1/cls.sh "$@"\n'
    (recipe / "run.sh").write_text(driver)
    (recipe / "run.sh").chmod(0o755)
    _write_sets(recipe / "data", "train", "dev", "test")

    def own(*options):
        stage_3 = ("--stage", "3", "--stop_stage", "3", "--protocol", "none")
        return run(recipe, *stage_3, "--systems", "logmel", "--budget", "tiny", *options)

    yield own
    shutil.rmtree(recipe.parent)


@pytest.mark.recipe
def test_blanks_in_the_path_of_a_set(own, tmp_path):
    _write_sets(tmp_path / "my corpus", "train", "dev")
    there = tmp_path / "my corpus"
    done = own("--distill_set", f"{there}/train", f"--distill_dev_set={there}/dev")
    assert done.returncode == 0, done.stderr
    assert (there / "train/utt2num_samples").exists()


@pytest.mark.recipe
def test_segments_in_a_training_set_are_refused_with_the_data(own, tmp_path):
    _write_sets(tmp_path / "cuts", "train")
    (tmp_path / "cuts/train/segments").write_text("s-u s-u 0 0.5\ns-v s-v 0 0.5\n")
    done = own("--distill_set", f"{tmp_path}/cuts/train")
    assert done.returncode == 1
    assert "train/segments: ESPnet would take whole recordings" in done.stderr.splitlines()[-1]


@pytest.mark.recipe
def test_a_pretrained_teacher_must_be_there(own):
    given = (
        "--pretrain_teacher",
        "true",
        "--pretrain_configs",
        "../../mini/asr1/conf/pretrain1.yaml",
    )
    done = own("--stage", "5", "--stop_stage", "5", *given)
    assert done.stderr == "error: exp/teacher1: it is not there; begin with --stage 4\n"


@pytest.mark.recipe
def test_each_label_has_its_classes(own, tmp_path, checkout):
    data = checkout / "egs" / tmp_path.name / "cls1/data"
    for name in ("train", "dev", "test"):
        (data / name / "utt2mood").write_text("s-u good\ns-v bad\n")
    for label in ("utt2mood", "utt2label"):
        done = own("--label", label)
        assert done.returncode == 0, done.stderr
    assert "good" in (data / "classes_train_utt2mood/tokens.txt").read_text()
    assert "good" not in (data / "classes_train_utt2label/tokens.txt").read_text()


@pytest.mark.recipe
def test_data_made_before_in_dumpdir_are_found(checkout, run, tmp_path):
    """What stages 1 to 3 made there, called from another checkout."""
    _write_sets(tmp_path / "data", "train", "dev", "test", "noise_test")
    recipe = checkout / "egs/mini/asr1"
    options = ("--stage", "9", "--stop_stage", "9", "--dumpdir", str(tmp_path / "data"))
    few = ("--protocol", "../../../conf/distortion/few.yaml")  # it needs data/noise_test
    result = run(recipe, *few, *options)
    (recipe / "data").unlink(missing_ok=True)
    # Nothing is decoded, which is found only after the data.
    assert result.returncode == 1 and "no such data dir" not in result.stderr


@pytest.mark.recipe
def test_help_shows_the_options_of_driver_templates_and_recipe(checkout, run):
    shown = run(checkout / "egs/fsdd/asr1", "--help").stdout.splitlines()
    starts = ("token_type=bpe", "budget=short", "export fsdd=", "#   ./run.sh --fsdd DIR")
    for start in (*starts, "    --token_type word"):
        assert sum(line.startswith(start) for line in shown) == 1, start
    assert not [line for line in shown if line.startswith(("set -", "cd ", "../"))]


@pytest.mark.recipe
def test_a_driver_outside_a_recipe(checkout, tmp_path):
    driver = checkout / "egs/TEMPLATE/asr1/asr.sh"
    helped, done = (
        subprocess.run([driver, *args], cwd=tmp_path, capture_output=True, text=True, check=False)
        for args in (["--help"], [])
    )
    assert helped.returncode == 0 and "token_type=bpe" in helped.stdout and not helped.stderr
    assert done.returncode == 1 and done.stderr == (
        "error: no local/data.sh here: a recipe's run.sh calls asr.sh in its directory\n"
    )


@pytest.mark.recipe
def test_librispeech_refuses_a_missing_corpus(checkout, run, tmp_path):
    recipe = checkout / "egs/librispeech/asr1"
    held = sorted(recipe.glob("data/*"))  # of another test
    result = run(recipe, "--librispeech", str(tmp_path / "none"), *MINI)
    assert result.returncode == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 1 and str(tmp_path / "none") in errors[0]
    assert sorted(recipe.glob("data/*")) == held


@pytest.mark.recipe
@pytest.mark.parametrize("arguments", [[], ["os.path"], ["espnet2.bin.no_such_command"]])
def test_wrapper_refuses_what_is_no_espnet_command(root, arguments):
    result = subprocess.run(
        [sys.executable, "-m", "espnet_robust.run", *arguments],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")


def test_familiar_options_name_what_there_is(root):
    """No recipe has them, and what they are called here is an option of one."""
    template = root / "egs/TEMPLATE"
    sources = [template / "options.sh", template / "asr1/asr.sh", template / "cls1/cls.sh"]
    known = set(re.findall(r"^(\w+)=", "\n".join(p.read_text() for p in sources), re.MULTILINE))
    lines = (root / "utils/familiar_options.txt").read_text().splitlines()
    assert lines == sorted(lines)
    for line in lines:
        name, ours = line.split(": ")
        assert name not in known
        here = re.findall(r"(?<![\w-])--(\w+)", ours.partition(' "')[0])
        assert set(here) <= known, line
