"""The files with which plain transformers loads a student directory."""

import importlib
import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet_robust.common.files import write_atomic
from espnet_robust.models.eraser import ErasedConfig, ErasedModel
from espnet_robust.models.speech_model import SpeechModel, write_preprocessor_config

PACKAGE = "espnet_robust.models."


def write_transformers_files(student: SpeechModel, out: Path, arch: Mapping[str, Any]) -> None:
    """config.json, preprocessor_config.json and, if transformers needs it, the model's own file."""
    # The class may be one of ours that replaces the library's.
    model, config = type(student.encoder), type(student.config)
    content = dict(arch)
    if student.eraser is not None:
        model, config = ErasedModel, ErasedConfig
        content = {"model_type": config.model_type, "encoder": content}
        content |= {"rank": student.eraser.rank}
    name, module = model.__name__, model.__module__
    content |= {"architectures": [name], "dtype": "float32"}
    if module.startswith(PACKAGE):
        file = module.replace(PACKAGE, "modeling_")
        config_name = config.__name__
        content["auto_map"] = {"AutoConfig": f"{file}.{config_name}", "AutoModel": f"{file}.{name}"}
        _copy_module(module, out)
    write_atomic(out / "config.json", json.dumps(content, indent=2) + "\n")
    write_preprocessor_config(out, student.normalize, student.rate)


def _copy_module(module: str, out: Path) -> None:
    """Copy a module of ours, and ours that it imports, in the form that transformers loads."""
    text = inspect.getsource(importlib.import_module(module))
    for name in re.findall(rf"^from ({re.escape(PACKAGE)}\w+) import", text, re.MULTILINE):
        _copy_module(name, out)
    text = text.replace(f"from {PACKAGE}", "from .modeling_")
    write_atomic(out / f"{module.replace(PACKAGE, 'modeling_')}.py", text)
