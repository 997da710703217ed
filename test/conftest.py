"""What all tests share."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

if find_spec("espnet2"):
    import espnet_robust.plugin.quick_start  # noqa: F401  as in the commands

# No test may reach a network: a model that is not on disk is an error at once, not a download.
os.environ["HF_HUB_OFFLINE"] = "1"

# The same examples in each run, however slow the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no GPU")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def follow():
    """follow(error): run the command that an error's message ends with, after "fix: ", literally.

    ``espnet-robust`` is this checkout's, whether installed or not.
    """

    def run(error: Exception) -> None:
        command = str(error).partition("; fix")[2].partition(": ")[2]
        assert command, f"no advice in {error}"
        verb = f'espnet-robust() {{ {sys.executable} -m espnet_robust "$@"; }}'
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(["bash", "-c", f"{verb}; {command}"], check=True, env=env)

    return run


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Small real corpora beside the checkout; skips the test where there are none."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return path


@pytest.fixture(scope="session")
def teacher_dir(tmp_path_factory) -> Path:
    """A HuBERT of three layers and 16 dimensions with random weights."""
    import torch
    from transformers import HubertConfig, HubertModel

    from espnet_robust.models.speech_model import write_preprocessor_config

    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("teacher")
    config = HubertConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        conv_dim=[8] * 7, num_conv_pos_embeddings=15, num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer",
    )  # fmt: skip
    HubertModel(config).save_pretrained(directory)
    write_preprocessor_config(directory, normalize=True)
    return directory


@pytest.fixture(scope="session")
def student_dir(teacher_dir, tmp_path_factory) -> Path:
    """Its first two layers, as a student directory."""
    from espnet_robust.models.speech_model import load_teacher
    from espnet_robust.models.student import StudentConfig, build_student, save_student

    directory = tmp_path_factory.mktemp("student")
    save_student(build_student(load_teacher(teacher_dir), StudentConfig()), directory, {})
    return directory


TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 15,
    "num_conv_pos_embedding_groups": 2,
}
KINDS = {
    "hubert_layer_norm": ("Hubert", {"feat_extract_norm": "layer"}),
    "hubert_group_norm": ("Hubert", {"feat_extract_norm": "group"}),
    "hubert_large": ("Hubert", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    "hubert_batch_norm": ("Hubert", {"feat_extract_norm": "layer", "conv_pos_batch_norm": True}),
    "wavlm": ("WavLM", {"feat_extract_norm": "group"}),
    "wavlm_large": ("WavLM", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    "wav2vec2": ("Wav2Vec2", {"feat_extract_norm": "group"}),
    "wav2vec2_large": (
        "Wav2Vec2",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "add_adapter": True},
    ),
    "data2vec": ("Data2VecAudio", {"conv_pos_kernel_size": 5}),
    "unispeech_sat": ("UniSpeechSat", {"feat_extract_norm": "group"}),
    "unispeech_sat_large": (
        "UniSpeechSat",
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
    ),
    "w2v_bert": ("Wav2Vec2Bert", {"conv_depthwise_kernel_size": 5}),
}


@pytest.fixture(scope="session")
def teacher_dirs(tmp_path_factory):
    """{kind: directory} of every architecture, random weights."""
    import torch
    import transformers

    from espnet_robust.models.speech_model import write_preprocessor_config

    dirs = {}
    for kind, (name, options) in KINDS.items():
        torch.manual_seed(0)
        dirs[kind] = tmp_path_factory.mktemp(kind)
        config = getattr(transformers, f"{name}Config")(**TINY, **options)
        getattr(transformers, f"{name}Model")(config).save_pretrained(dirs[kind])
        if kind == "w2v_bert":
            extractor = transformers.SeamlessM4TFeatureExtractor(padding_value=1.0)
            extractor.save_pretrained(dirs[kind])
        else:
            write_preprocessor_config(dirs[kind], normalize=kind != "hubert_group_norm")
    return dirs


@pytest.fixture
def teacher(teacher_dirs):
    """A frozen teacher of 4 layers of 16, targets 2 and 4."""
    from espnet_robust.models.speech_model import load_teacher

    return load_teacher(teacher_dirs["hubert_layer_norm"], [2, 4])


@pytest.fixture
def batch():
    """wav (3, 8000) with rubbish in the padding, lengths (3,)."""
    import torch

    generator = torch.Generator().manual_seed(1)
    wav = torch.randn(3, 8000, generator=generator) * 0.1
    return wav, torch.tensor([8000, 6123, 3000])
