"""The package. ``pip install -e .`` beside an existing ESPnet leaves its torch alone.

Neither torch nor espnet is required here: naming them would let pip replace the builds a user has
chosen (CPU or CUDA), and ESPnet's own pins contradict current torch. ``tools/setup.sh`` makes an
environment with both. Nothing listed below depends on torch.
"""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="espnet_robust",
    version="0.1.0",
    description="Distortion-robust distillation of self-supervised speech models, for ESPnet",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["espnet_robust", "espnet_robust.*"]),
    python_requires=">=3.10",
    install_requires=[
        "RapidFuzz",
        "PyYAML",
        "huggingface_hub",
        "humanfriendly",
        "kaldiio",
        "librosa",
        "matplotlib",
        "numpy",
        "pyroomacoustics",
        "safetensors",
        "scikit-learn",
        "scipy",
        "sentencepiece",
        "soundfile",
        "sox",
        "soxr",
        "tqdm",
        "transformers",
    ],
)
