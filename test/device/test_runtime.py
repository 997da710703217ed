"""Packages that are missing: the advice installs them."""

import sys

import pytest

from espnet_robust.common.errors import ConfigError
from espnet_robust.device.runtime import package


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("onnxruntime", "pip install onnxruntime numpy soundfile soxr"),
        ("soundfile", "pip install onnxruntime numpy soundfile soxr"),
        ("soxr", "pip install onnxruntime numpy soundfile soxr"),
        ("onnx", "pip install -e '.[device]'"),  # this package is not on PyPI
        ("onnxruntime.quantization", "pip install -e '.[device]'"),
    ],
)
def test_a_missing_package_is_installed_by_a_command_that_works(monkeypatch, name, fix):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError) as refusal:
        package(name)
    assert str(refusal.value).startswith(f"{name} is needed but not installed (")
    assert str(refusal.value).endswith(f"; fix: {fix}")
