"""The rehearsal of the GPU recipes: its corpora can be read, and one recipe is rehearsed."""

import shutil
import subprocess

import pytest

from espnet_robust.bin.prepare_corpus import main
from espnet_robust.common.errors import UserError
from espnet_robust.data.data_dir import read_data_dir

OPTIONS = {
    "librispeech": ["--sets", "train-clean-100,train-other-500,dev-clean,test-clean,test-other"],
    "chime4": ["--sets", "tr05_real,dt05_real,et05_real,et05_simu"],
    "iemocap": ["--folds", "1"],
    "rirs_noises": ["--kind", "isotropic"],
    "dns": [],
}
NAMES = {"wham": ("wham_noise",), "dns": ("dns_noise", "dns_rir")}
# Number of utterances or recordings in all parts together.
COUNTS = {
    "librispeech": 11, "an4": 11, "chime4": 20, "fluent_speech_commands": 20, "iemocap": 50,
    "musan": 18, "wham_noise": 6, "fsd50k": 4, "dns_noise": 6, "dns_rir": 12, "rirs_noises": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def rehearsal(load_tool):
    """rehearsal(name): a module of tools/rehearsal."""
    if not shutil.which("espeak-ng"):
        pytest.skip("espeak-ng is not installed")
    return lambda name: load_tool(f"rehearsal.{name}")


TREES = [
    "librispeech", "an4", "chime4", "fluent_speech_commands", "iemocap", "musan", "wham", "fsd50k",
    "dns", "rirs_noises",
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES)
def test_corpora_are_read_despite_their_stray_files(rehearsal, tmp_path, tree):
    root = rehearsal("files").write_tree(tmp_path / "corpus", rehearsal("__main__").TREES[tree]())
    assert list(root.rglob("._*")) and (root / ".DS_Store").exists()
    for corpus in NAMES.get(tree, (tree,)):
        out = tmp_path / corpus
        main([corpus, "--root", str(root), "--out", str(out), *OPTIONS.get(tree, [])])
        dirs = [read_data_dir(path.parent) for path in out.glob("*/wav.scp")]
        assert sum(len(data.ids) for data in dirs) == COUNTS[corpus]
        assert not any("/." in entry for data in dirs for entry in data.wav.values())


def test_what_a_table_must_have(rehearsal, tmp_path):
    check = rehearsal("__main__").check_table
    path = tmp_path / "wer.csv"
    path.write_text("system,condition,wer\na,clean,10.0\na,noise,20.0\nb,clean,nan\nb,noise,5\n")
    assert check(path, ["a"], 2) == 2
    with pytest.raises(UserError, match="2 conditions instead of 3"):
        check(path, ["a"], 3)
    with pytest.raises(UserError, match="no figure for b under clean"):
        check(path, ["a", "b"], 2)


@pytest.mark.recipe
def test_librispeech_with_hubert_base(root, tmp_path):
    """Every stage of the preset 100h: 94 M weights under their old names, two steps each."""
    if not shutil.which("espeak-ng") or not shutil.which("sox"):
        pytest.skip("espeak-ng or sox is not installed")
    command = [root / "tools/rehearse.sh", "--out", tmp_path, "--only", "librispeech_100h",
               "--systems", "distilhubert"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| librispeech_100h | distilhubert | 32 |" in done.stdout
    recipe = tmp_path / "librispeech_100h/checkout/egs/librispeech/asr1"
    students = recipe.glob("exp/paper/*_seed0/student/model.safetensors")
    assert all(80e6 < path.stat().st_size < 110e6 for path in students)
