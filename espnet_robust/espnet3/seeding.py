"""Seeds for each epoch of an ESPnet3 training, as ESPnet2's trainer sets them."""

from espnet2.torch_utils.set_all_random_seed import set_all_random_seed
from lightning.pytorch import Callback, LightningModule, Trainer


class SeedEpochs(Callback):
    """Seeds Python, NumPy and torch with ``seed`` + epoch (from 1) before each epoch.

    Dropout and masks then depend on the seed and the epoch only, not on what was drawn before: a
    training that resumes after an epoch goes on as if it had not stopped, and draws what ESPnet2's
    trainer would.

    Args:
        seed: of the training.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Called before the first batch is read, which draws too."""
        set_all_random_seed(self.seed + trainer.current_epoch + 1)
