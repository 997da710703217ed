"""Turn ESPnet options, such as ``--max_epoch 5 --optim_conf lr=0.001``, into configuration keys.

An experiment compares its configuration between runs, so these options must be part of it.
"""

import shlex
from typing import Any

from espnet_robust.common.errors import ConfigError
from espnet_robust.common.merging import parse_settings


def settings_of(option: str, text: str) -> dict[str, Any]:
    """The configuration keys that a string of ESPnet options sets.

    ``null`` is None. ``none`` stays text: some options have a value of that name, such as
    ``--dat none``, and for all others ESPnet's parser reads it as None, also from a YAML.

    Args:
        option: the option of ours that held the string, for messages.

    Raises:
        ConfigError: a word that belongs to no option, or an option without exactly one value.

    >>> settings_of("asr_args", "--max_epoch 5 --optim_conf lr=1e-3 --optim_conf betas=[0.9,0.98]")
    {'max_epoch': 5, 'optim_conf': {'lr': 0.001, 'betas': [0.9, 0.98]}}
    """
    try:
        words = shlex.split(text)
    except ValueError as e:
        raise ConfigError(f"--{option} {text!r}: {e}") from e
    settings, place = [], 0
    while place < len(words):
        word = words[place]
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise ConfigError(
                f"--{option}: {word!r} belongs to no option; write --NAME VALUE, and lists as [a,b]"
            )
        if not equals:
            place += 1
            if place == len(words) or words[place].startswith("--"):
                raise ConfigError(f"--{option}: --{name} needs a value")
            value = words[place]
        nested = name.endswith("_conf") and "=" in value
        settings.append(f"{name.replace('-', '_')}{'.' if nested else '='}{value}")
        place += 1
    return parse_settings(settings)
