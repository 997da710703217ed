"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

import espnet_robust.quick_start  # noqa: F401  as in the commands

# No test may reach a network: a model that is not on disk is an error at once, not a download.
os.environ["HF_HUB_OFFLINE"] = "1"

# The same examples in each run, however slow the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


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

    from espnet_robust.distill.speech_model import write_preprocessor_config

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
    from espnet_robust.distill.speech_model import load_teacher
    from espnet_robust.distill.student import StudentConfig, build_student, save_student

    directory = tmp_path_factory.mktemp("student")
    save_student(build_student(load_teacher(teacher_dir), StudentConfig()), directory, {})
    return directory
