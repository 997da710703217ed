"""Files that ESPnet's options name besides data, labels, mixtures and students, and their content.

A path stays the same when the model or the statistics behind it are made anew, so the configuration
alone does not say what a training was made of.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from espnet_robust.common.errors import ConfigError, ModelError
from espnet_robust.common.experiment import MIXTURES, NO_NUMBER
from espnet_robust.common.made_of import sha256
from espnet_robust.common.merging import Config
from espnet_robust.data.digests import listed_digest

MODELS = "init_param"  # FILE:SOURCE:TARGET:EXCEPT, or a list of these
FILES = ("non_linguistic_symbols", "deepspeed_config", "stats_file")  # the last in normalize_conf
LISTS = ("noise_scp", "rir_scp")  # files that list audio files
ALWAYS = (MODELS, *FILES, *LISTS)
TABLES = ("_data_path_and_name_and_type", "_shape_file")


def named_files(config: Config, known: Collection[str] = ()) -> dict[str, Any]:
    """{"OPTION PATH": digest of its content}; {} if the options name nothing.

    Found are ``init_param``, ``non_linguistic_symbols``, ``deepspeed_config``, ``noise_scp`` and
    ``rir_scp`` with the audio that they list, tables outside the data dirs, and in each ``*_conf``
    what is a file or a directory with a model, such as ``stats_file`` or ``model_name_or_path``.

    Args:
        config: of a training; paths are relative to the present directory.
        known: data dirs and models that have a record of their own.

    Raises:
        ConfigError: a file that one of the options listed above names is missing.
        DataDirError: a list of audio files is not text.
    """
    found: dict[str, Any] = {}
    for option, value in _values(config):
        key = option.rpartition(".")[2]
        path = value.partition(":")[0] if key == MODELS else value
        if key in ALWAYS and not Path(path).is_file():
            raise ConfigError(f"{option}: {path}: no such file")
        if key in LISTS:
            found[f"{option} {path}"] = listed_digest(Path(path))
        elif value not in known and (digest := _digest(Path(path))):
            found[f"{option} {path}"] = digest
    for option, table in _tables(config):
        if str(Path(table).parent) not in known:
            found[f"{option} {table}"] = sha256(table)
    return found


def model_digest(name: str) -> Any:
    """What identifies a teacher: digests of its files, or its revision on the hub."""
    path = Path(name)
    if path.is_dir():
        return _digest(path)
    from huggingface_hub import hf_hub_download

    try:
        config = hf_hub_download(name, "config.json")
    except Exception as e:  # errors of the hub or of requests, or an invalid id
        reason = " ".join(str(e).split())
        raise ModelError(
            f"teacher {name}: no directory here, and not on the hub: {reason}"
        ) from None
    return Path(config).parent.name


def _digest(path: Path) -> Any:
    """Of a file, or {name: digest} of those of a model in a directory."""
    if not path.is_dir():
        return sha256(path) if path.is_file() else None
    files = sorted(f for f in path.iterdir() if f.suffix in (".json", ".safetensors", ".bin"))
    return {f.name: sha256(f) for f in files}


def _values(config: Config) -> Iterator[tuple[str, str]]:
    """Yield (option, value) for the options that always name files, and all of each ``*_conf``."""
    for key, value in config.items():
        if key in ALWAYS or key.endswith("_conf"):
            for option, text in _strings(key, value):
                if text.lower() not in ("", *NO_NUMBER):
                    yield option, text


def _strings(option: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key not in MIXTURES:  # recorded by content
                yield from _strings(f"{option}.{key}", part)
    elif isinstance(value, list | tuple) and not option.endswith("symbols"):
        # A list of symbols is the symbols themselves.
        for part in value:
            yield from _strings(option, part)
    elif isinstance(value, str):
        always = option.rpartition(".")[2] in ALWAYS
        # Any other word is a choice, such as `conv2d`, whatever lies in the present directory.
        if always or "/" in value or Path(value).suffix:
            yield option, value


def _tables(config: Config) -> Iterator[tuple[str, str]]:
    """Yield (option, file) for the data of a training; texts have their digests as labels."""
    for option, value in config.items():
        if option.endswith(TABLES):
            for given in value if isinstance(value, list | tuple) else []:
                path, *rest = [given] if isinstance(given, str) else given
                if "text" not in rest[1:]:
                    yield option, path
