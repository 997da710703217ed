"""Architectures that no encoder has: refused in one line, before they take all memory."""

import pytest
import yaml

from espnet_robust.common.errors import ModelError
from espnet_robust.models.student import describe, from_description, load_student


@pytest.fixture(scope="module")
def description(student_dir):
    return describe(load_student(student_dir))


@pytest.mark.parametrize("of", [None, "x", [1], {}, {"arch": {}}, 7])
def test_no_description(of):
    with pytest.raises(ModelError, match="here: need a mapping with arch, normalize and rate"):
        from_description(of, "here")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("hidden_size", n) for n in (-8, 0, 10**9, "x", None, 16.5, True)),
        *(("num_hidden_layers", n) for n in (-1, 0, 10**7)),
        ("num_attention_heads", 0),
        ("intermediate_size", 10**12),
        ("conv_dim", [-1] * 7),
        ("conv_dim", "x"),
        ("conv_stride", [0] * 7),
        ("conv_kernel", [10**9] * 7),
        ("conv_kernel", [1]),
        ("conv_kernel", []),
        ("num_conv_pos_embeddings", -3),
        ("num_conv_pos_embedding_groups", 3),
        ("hidden_dropout", 7),
        ("model_type", 7),
        ("model_type", [1]),
        ("feat_extract_activation", "no such"),
    ],
)
def test_no_architecture(description, key, value):
    arch = description["arch"] | {key: value}
    with pytest.raises(ModelError, match="student architecture") as e:
        from_description(description | {"arch": arch}, "here")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("key", "value"), [("rate", -1), ("rate", 0), ("rate", "x"), ("rate", None), ("normalize", "x")]
)
def test_no_input_format(description, key, value):
    with pytest.raises(ModelError, match="student architecture: need `normalize"):
        from_description(description | {key: value}, "here")


@pytest.mark.parametrize("arch", [None, "x", [1], {"model_type": "hubert", "hidden_size": -1}])
def test_a_damaged_student_directory(student_dir, tmp_path, arch):
    config = yaml.safe_load((student_dir / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | {"arch": arch}))
    with pytest.raises(ModelError, match="student architecture"):
        load_student(tmp_path)
