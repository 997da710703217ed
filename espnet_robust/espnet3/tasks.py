"""Tasks for ESPnet3, after ``register()``: those of ESPnet2, and ESPnet3's own transducer."""

import importlib

from espnet2.tasks.abs_task import AbsTask

from espnet_robust.plugin.registration import register, register_module

TASKS = {  # name here -> (module, name there)
    "ASRTask": ("espnet2.tasks.asr", "ASRTask"),
    "ASRTransducerTask": ("espnet3.systems.esp2_asr.src.transducer_task", "ASRTransducerTask"),
    "CLSTask": ("espnet2.tasks.cls", "CLSTask"),
    "DiarizationTask": ("espnet2.tasks.diar", "DiarizationTask"),
    "EnhS2TTask": ("espnet2.tasks.enh_s2t", "EnhS2TTask"),
    "LIDTask": ("espnet2.tasks.lid", "LIDTask"),
    "S2TCTCTask": ("espnet2.tasks.s2t_ctc", "S2TTask"),
    "S2TTask": ("espnet2.tasks.s2t", "S2TTask"),
    "SLUTask": ("espnet2.tasks.slu", "SLUTask"),
    "SSLTask": ("espnet2.tasks.ssl", "SSLTask"),
    "STTask": ("espnet2.tasks.st", "STTask"),
    "SpeakerTask": ("espnet2.tasks.spk", "SpeakerTask"),
}


def task_class(name: str) -> type[AbsTask]:
    """The task of that name in TASKS. Raises ImportError if its dependencies are not installed."""
    register()
    module_name, there = TASKS[name]
    module = importlib.import_module(module_name)
    register_module(module)
    return getattr(module, there)
