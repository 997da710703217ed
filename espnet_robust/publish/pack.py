"""Pack a trained system: its recogniser or classifier in ESPnet's format, and its student.

``pack_system`` writes to OUT::

    asr.zip, or cls.zip   as written by ``espnet2.bin.pack``, including the student's weights
    asr/, or cls/         the same, unpacked, as stored on the hub
    student/              the student directory, also for transformers, and its card
    made_of.json          digests of what it was made of

None of them contains paths of the machine that trained it.
"""

import contextlib
import io
import itertools
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from espnet_robust.common.config import read_yaml
from espnet_robust.common.errors import ModelError, UserError
from espnet_robust.common.files import temporary_beside
from espnet_robust.common.made_of import FILE, STUDENT_FILES
from espnet_robust.publish.card import packed_card, student_card
from espnet_robust.publish.repos import packed
from espnet_robust.publish.run_facts import RunFacts

# Task -> the names of the two files in espnet2.bin.pack and in the inference class's constructor.
FILES = {
    "asr": ("asr_train_config", "asr_model_file"),
    "cls": ("classification_train_config", "classification_model_file"),
}
OWN = {FILE, "student", *FILES, *(f"{task}.zip" for task in FILES)}  # what OUT may hold
# Keys of ESPnet's configuration that name paths for training, which inference does not need.
_PLACES = ("_data_path_and_name_and_type", "_shape_file", "_data_key_file")
_OF_TRAINING = (
    "config",
    "output_dir",
    "resume",
    "init_param",
    "ignore_init_mismatch",
    "pretrain_path",
)


def pack_system(exp: Path, checkpoint: str, facts: RunFacts, out: Path, repo: str = "") -> Path:
    """Pack one system of a recipe into ``out``; what an earlier call made there is replaced.

    Args:
        exp: exp/BUDGET/SYSTEM_seedN.
        checkpoint: file in its ``asr`` or ``cls``.
        repo: name on the hub, for the card.

    Raises:
        ModelError: training has not finished.
        UserError: ``out`` has something else in it.
    """
    task = facts.scores.task
    place = out.resolve()  # beyond links, and so that it has a name
    _check_replaceable(place)
    partial = temporary_beside(place)
    partial.mkdir(parents=True)
    try:
        pack_model(exp / task, checkpoint, task, packed_card(facts, repo or f"{task}.zip"), partial)
        if facts.provenance:
            copy_student(exp / "student", partial / "student", student_card(facts))
        # Not the cards: they may be edited before they are uploaded.
        replace(packed(exp, task, checkpoint), path=partial).finish([f"{task}.zip"])
        _replace(place, partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def _check_replaceable(out: Path) -> None:
    """Raise UserError unless ``out`` is missing, empty, or holds only what a call writes."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out}: is a file; name a directory with --out")
    found = sorted(path.name for path in out.iterdir())
    others = [name for name in found if name not in OWN]
    archives = [name for name in found if name.endswith(".zip")]
    if found and (others or not archives):  # an experiment has asr/ and student/, but no archive
        raise UserError(
            f"{out}: would be replaced, but was not made by pack: it has {(others or found)[0]} in "
            "it; name a new directory with --out, or empty this one"
        )


def _replace(out: Path, new: Path) -> None:
    """Put the directory ``new`` in the place of ``out``, which is deleted only after that."""
    old = temporary_beside(out, "old")
    if out.exists():
        out.rename(old)
    try:
        new.rename(out)
    except BaseException:
        if old.exists():
            old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def pack_model(exp: Path, checkpoint: str, task: str, card: str, out: Path) -> None:
    """An ESPnet experiment -> ``out/TASK`` and ``out/TASK.zip``."""
    for path in (exp / "config.yaml", exp / checkpoint):
        if not path.is_file():
            raise ModelError(f"{path}: not found; has training finished?")
    config, files = portable(read_yaml(exp / "config.yaml"))
    if config.get("use_adapter") and config.get("save_strategy") != "all":
        raise ModelError(
            f"{exp / checkpoint}: lacks the frozen model, so it could not be loaded elsewhere; "
            "train with `save_strategy: all`"
        )
    folder = out / task
    folder.mkdir()
    for name, source in files.items():
        shutil.copyfile(source, folder / name)
    shutil.copyfile(exp / checkpoint, folder / checkpoint)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")
    _espnet_pack(folder, task, checkpoint, out / f"{task}.zip", ["README.md", *files])
    with zipfile.ZipFile(out / f"{task}.zip") as archive:
        archive.extract("meta.yaml", folder)


def _espnet_pack(folder: Path, task: str, checkpoint: str, out: Path, others: list[str]) -> None:
    """Call ``espnet2.bin.pack`` in ``folder``: it stores paths relative to where it runs."""
    from espnet2.bin.pack import main as espnet2_pack

    config, model = FILES[task]
    command = [task, "--outpath", str(out.resolve()), f"--{config}", "config.yaml"]
    command += [f"--{model}", checkpoint]
    for name in others:
        command += ["--option", name]
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        espnet2_pack(command)


def copy_student(student: Path, out: Path, card: str) -> None:
    """A student directory -> ``out``, for this package and for plain transformers.

    Raises:
        ModelError: it is not complete.
    """
    out.mkdir()
    for name in STUDENT_FILES:
        if not (student / name).is_file():
            raise ModelError(f"{student / name}: not found; export the student again, in stage 6")
    content = _map_strings(read_yaml(student / "config.yaml"), _last_part)
    (out / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    for name in ("model.safetensors", *_of_transformers(student)):
        shutil.copyfile(student / name, out / name)
    (out / "README.md").write_text(card, encoding="utf-8")


def _of_transformers(student: Path) -> list[str]:
    """The names of its files that only transformers reads."""
    found = [student / "config.json", student / "preprocessor_config.json"]
    found += student.glob("modeling_*.py")
    return sorted(path.name for path in found if path.is_file())  # students of version 1 lack some


def portable(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """An ESPnet configuration without absolute paths.

    Returns:
        The configuration, and {name beside it: file} for the files it needs, such as a BPE model.
    """
    files: dict[str, Path] = {}

    def beside(value: str) -> str:
        path = Path(value)
        if not value or not path.is_file():
            return _last_part(value)
        name = next(n for n in _names(path) if files.get(n, path) == path)
        files[name] = path
        return name

    kept: dict[str, Any] = {}
    for key, value in config.items():
        if key.endswith(_PLACES):
            kept[key] = []
        elif key in _OF_TRAINING:
            kept[key] = [] if isinstance(value, list) else None
        elif key == "frontend_conf":
            kept[key] = _map_strings(value, _last_part)
        else:
            kept[key] = _map_strings(value, beside) if key != "token_list" else value
    return kept, files


def _names(path: Path) -> Iterator[str]:
    """Names for a file: its own; with its directory's; that with a number, from 2 on."""
    longer = f"{path.parent.name}_{path.name}"
    yield path.name
    yield longer
    for number in itertools.count(2):
        yield f"{number}_{longer}"


def _last_part(value: str) -> str:
    """A path of this machine -> its last part; anything else is unchanged."""
    return Path(value).name if os.path.isabs(value) else value


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _map_strings(v, change) for key, v in value.items()}
    if isinstance(value, list):
        return [_map_strings(v, change) for v in value]
    return change(value) if isinstance(value, str) else value
