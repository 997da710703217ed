"""Trainings with ESPnet's commands on the data dirs that tests make."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


def train_espnet(
    main: Callable[[list[str]], None],
    out: Path,
    data: Path,
    config: Mapping[str, Any],
    tokens: Sequence[str],
    target: str = "text",
) -> Path:
    """output_dir of a training, validated on what it is trained on.

    Args:
        main: of a module in ``espnet2.bin``.
        out: exists; gets the configuration and ``exp``.
        data: with wav.scp, utt2num_samples and the table ``target``, which names the input, too.
    """
    (out / "tokens.txt").write_text("\n".join(tokens) + "\n")
    (out / "train.yaml").write_text(yaml.safe_dump(dict(config)))
    options = ["--config", out / "train.yaml", "--output_dir", out / "exp",
               "--token_list", out / "tokens.txt"]  # fmt: skip
    for split in ("train", "valid"):
        options += [
            f"--{split}_shape_file", data / "utt2num_samples",
            f"--{split}_data_path_and_name_and_type", f"{data}/wav.scp,speech,sound",
            f"--{split}_data_path_and_name_and_type", f"{data}/{target},{target},text",
        ]  # fmt: skip
    main([str(option) for option in options])
    return out / "exp"
