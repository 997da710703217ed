"""ESPnet3 (part of ESPnet 202611) with a student as frontend: what its YAML files name.

    task: espnet_robust.espnet3.ASRTask          # or another name of tasks.TASKS
    data_src: espnet_robust.espnet3.data_dir     # a Kaldi data dir as a dataset
    _target_: espnet_robust.espnet3.preprocessor.DistortingPreprocessor
    _target_: espnet_robust.espnet3.iterator.EpochIterFactory

``egs/mini/asr1/espnet3`` has them in whole files. What stands here imports ESPnet when it is used.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """A task that ESPnet3 asks for by its dotted name, our frontend known to it."""
    from espnet_robust.espnet3.tasks import TASKS, task_class

    if name in TASKS:
        return task_class(name)
    raise AttributeError(f"espnet_robust.espnet3 has no {name}; its tasks are {', '.join(TASKS)}")
