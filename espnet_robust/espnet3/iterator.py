"""ESPnet3 batches that tell distortions the epoch."""

from typing import Any

from espnet2.iterators.sequence_iter_factory import SequenceIterFactory

from espnet_robust.common.errors import ConfigError
from espnet_robust.data.turns import number_turns
from espnet_robust.plugin.preprocessor import DistortingPreprocessor


class EpochIterFactory(SequenceIterFactory):
    """ESPnet's SequenceIterFactory, which tells preprocessors the epoch before its workers start.

    Args:
        dataset: ESPnet3's CombinedDataset.
        max_epochs: ``${trainer.max_epochs}``, the end of ranges that move with training progress.
        others: arguments of SequenceIterFactory.

    Raises:
        ConfigError: the dataset has no distorting preprocessor.
    """

    def __init__(self, dataset: Any, batches: Any, max_epochs: int, **others: Any):
        super().__init__(dataset, batches, **others)
        self.max_epochs = max_epochs
        preprocessors = [preprocessor for _, preprocessor in dataset.transforms]
        self.distorting = [p for p in preprocessors if isinstance(p, DistortingPreprocessor)]
        if not self.distorting:
            raise ConfigError(
                "iter_factory: EpochIterFactory is for a DistortingPreprocessor, and this dataset "
                "has none; use espnet2.iterators.sequence_iter_factory.SequenceIterFactory"
            )

    def build_iter(self, epoch: int, shuffle: bool | None = None):
        for preprocessor in self.distorting:
            preprocessor.set_epoch(epoch, progress=(epoch - 1) / self.max_epochs)
        return number_turns(super().build_iter(epoch, shuffle), self.distorting)
