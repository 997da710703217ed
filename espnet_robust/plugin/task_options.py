"""What the options of an ESPnet task may be, for checking a configuration without a training."""

from collections.abc import Mapping
from typing import Any

from espnet2.tasks.abs_task import AbsTask, optim_classes, scheduler_classes

Options = tuple[dict[str, Any], dict[str, Mapping[str, type]]]


def options_of(task: type[AbsTask]) -> Options:
    """The options with their defaults, and for each that chooses a class its classes by name."""
    tables = {choices.name: choices.classes for choices in task.class_choices_list}
    tables.pop("preprocessor", None)  # ours has the options of the one inside it as well
    tables |= {"optim": optim_classes, "scheduler": scheduler_classes}
    return vars(task.get_parser().parse_args([])), tables
