"""Distort the speech in an ESPnet3 training: a preprocessor around the task's own.

    preprocessor:
      token_type: char
      token_list: data/tokens.txt
      train: {_target_: espnet_robust.espnet3.preprocessor.DistortingPreprocessor,
              distortion: conf/distortion/train.yaml, seed: 0}
      valid: {_target_: espnet_robust.espnet3.preprocessor.DistortingPreprocessor,
              distortion: conf/distortion/train.yaml, seed: 0}
      test: {_target_: espnet2.train.preprocessor.CommonPreprocessor}

Draws for training change from epoch to epoch, with the epoch from ``iterator.EpochIterFactory``;
validation always draws as in epoch 0.
"""

from typing import Any

from espnet2.train.preprocessor import CommonPreprocessor
from omegaconf import OmegaConf

from espnet_robust.distortion import load_distortion
from espnet_robust.plugin.preprocessor import DistortingConfig
from espnet_robust.plugin.preprocessor import DistortingPreprocessor as Behind


class DistortingPreprocessor(Behind):
    """Distorts ``speech``, then passes the utterance to ESPnet's CommonPreprocessor.

    Args:
        train: set by ESPnet3.
        distortion: a distortion YAML, or its content.
        seed: seed of the draws; ``${seed}`` is that of the training.
        names: keys of the data to distort.
        others: arguments of CommonPreprocessor.

    Raises:
        ConfigError: as for ``load_distortion``.
    """

    def __init__(
        self,
        train: bool,
        distortion: Any,
        seed: int = 0,
        names: list[str] | None = None,
        **others: Any,
    ):
        distortion, names = _plain(distortion), _plain(names)
        config = DistortingConfig(distortion, seed=seed, names=names or ["speech"])
        inner = CommonPreprocessor(train=train, **others)
        super().__init__(inner, load_distortion(distortion), seed, list(config.names), train)


def _plain(value: Any) -> Any:
    """``value`` as plain Python: Hydra hands over lists and mappings of its own kinds."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
