"""Use a student as frontend in ESPnet3 (part of ESPnet 202611): the names for its YAML files.

    task: espnet_robust.espnet3.ASRTask          # or another name of tasks.TASKS
    data_src: espnet_robust.espnet3.data_dir     # a Kaldi data dir as a dataset
    _target_: espnet_robust.espnet3.preprocessor.DistortingPreprocessor
    _target_: espnet_robust.espnet3.iterator.EpochIterFactory
    _target_: espnet_robust.espnet3.callbacks.SeedEpochs    # or AverageAtEnd

``egs/mini/asr1/espnet3`` has complete files. This module imports ESPnet only when it is used.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """A task that ESPnet3 looks up by its dotted name, with our frontend registered."""
    from espnet_robust.espnet3.tasks import TASKS, task_class

    if name in TASKS:
        return task_class(name)
    raise AttributeError(f"espnet_robust.espnet3 has no {name}; its tasks are {', '.join(TASKS)}")
