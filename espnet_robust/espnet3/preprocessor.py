"""Our distortions in an ESPnet3 training: a preprocessor around the task's own.

    preprocessor:
      token_type: char
      token_list: data/tokens.txt
      train: {_target_: espnet_robust.espnet3.preprocessor.DistortingPreprocessor,
              distortion: conf/distortion/train.yaml, seed: 0}
      valid: {_target_: espnet_robust.espnet3.preprocessor.DistortingPreprocessor,
              distortion: conf/distortion/train.yaml, seed: 0}
      test: {_target_: espnet2.train.preprocessor.CommonPreprocessor}

The training's draws change from epoch to epoch, which ``iterator.EpochIterFactory`` tells;
validation hears one draw, as epoch 0.
"""

from typing import Any

from espnet2.train.preprocessor import CommonPreprocessor

from espnet_robust.distortion import load_distortion
from espnet_robust.plugin.preprocessor import DistortingConfig
from espnet_robust.plugin.preprocessor import DistortingPreprocessor as Behind


class DistortingPreprocessor(Behind):
    """Distorts ``speech``, then hands the utterance to ESPnet's CommonPreprocessor.

    Args:
        train: set by ESPnet3.
        distortion: YAML of a distortion, or what stands in one.
        seed: of the draws; ``${seed}`` is the training's.
        names: keys that are distorted.
        others: of CommonPreprocessor.

    Raises:
        ConfigError: as ``load_distortion``.
    """

    def __init__(
        self,
        train: bool,
        distortion: Any,
        seed: int = 0,
        names: list[str] | None = None,
        **others: Any,
    ):
        config = DistortingConfig(distortion, seed=seed, names=names or ["speech"])
        inner = CommonPreprocessor(train=train, **others)
        super().__init__(inner, load_distortion(distortion), seed, list(config.names), train)
