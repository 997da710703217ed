"""A recipe's directory with data and an experiment whose recognisers were trained for one step."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

CONFIG = {
    "token_type": "char", "frontend": "robust_student", "normalize": "utterance_mvn",
    "encoder": "blstm",
    "encoder_conf": {"num_layers": 1, "hidden_size": 8, "output_size": 8, "subsample": [1]},
    "model_conf": {"ctc_weight": 1.0}, "decoder": None, "optim": "adamw", "batch_type": "sorted",
    "batch_size": 2, "num_iters_per_epoch": 1, "max_epoch": 1, "num_workers": 0,
    "use_tensorboard": False, "num_att_plot": 0,
}  # fmt: skip
TOKENS = "<blank>\n<unk>\nA\nB\n<sos/eos>\n"


def write_data_dir(root: Path, name: str, **tables: str) -> None:
    """Two utterances of noise; ``tables`` have a value for each."""
    directory = root / "data" / name
    directory.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for utt in ("u0", "u1"):
        soundfile.write(directory / f"{utt}.wav", 0.1 * rng.standard_normal(16000), 16000)
    tables |= {"wav.scp": f"data/{name}/{{utt}}.wav", "utt2num_samples": "16000"}
    for table, value in tables.items():
        lines = [f"{utt} {value.format(utt=utt)}\n" for utt in ("u0", "u1")]
        (directory / table).write_text("".join(lines))


@pytest.fixture(scope="session")
def recipe(tmp_path_factory, student_dir) -> Path:
    """Its directory, with test sets, noises and rooms in data/, and the recognisers
    exp/short/{teacher,cdm1}_seed0/asr."""
    pytest.importorskip("espnet2")
    from espnet2.bin import asr_train

    import espnet_robust

    espnet_robust.register()
    root = tmp_path_factory.mktemp("live")
    for name in ("train", "test", "noise_test", "rir_test", "rir_graded"):
        write_data_dir(root, name, text="AB", utt2spk="{utt}")
    (root / "data/rir_graded/utt2rt60").write_text("u0 0.2\nu1 0.8\n")
    (root / "tokens.txt").write_text(TOKENS)
    config = CONFIG | {"frontend_conf": {"student": {"path": str(student_dir)}}}
    (root / "train.yaml").write_text(yaml.safe_dump(config))
    with contextlib.chdir(root):
        for system in ("cdm1", "teacher"):
            options = ["--config", "train.yaml", "--token_list", "tokens.txt",
                       "--output_dir", f"exp/short/{system}_seed0/asr"]  # fmt: skip
            for split in ("train", "valid"):
                options += [f"--{split}_shape_file", "data/train/utt2num_samples"]
                for table in ("wav.scp,speech,sound", "text,text,text"):
                    options += [f"--{split}_data_path_and_name_and_type", f"data/train/{table}"]
            asr_train.main(options)
    return root
