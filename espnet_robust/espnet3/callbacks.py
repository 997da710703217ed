"""Callbacks for an ESPnet3 training, in which it then does as ESPnet2's trainer does.

trainer:
  callbacks:
    - {_target_: espnet_robust.espnet3.callbacks.SeedEpochs, seed: "${seed}"}
    - {_target_: espnet_robust.espnet3.callbacks.AverageAtEnd}
"""

from espnet2.torch_utils.set_all_random_seed import set_all_random_seed
from espnet3.components.callbacks.default_callbacks import AverageCheckpointsCallback
from lightning.pytorch import Callback, LightningModule, Trainer


class SeedEpochs(Callback):
    """Seeds Python, NumPy and torch with ``seed`` + epoch (from 1) before each epoch.

    Dropout and masks then depend on the seed and the epoch only, not on what was drawn before: a
    training that resumes after an epoch draws as if it had not stopped, and as ESPnet2's would.

    Args:
        seed: of the training.
    """

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Called before the epoch's first batch is read, which draws too."""
        set_all_random_seed(self.seed + trainer.current_epoch + 1)


class AverageAtEnd(Callback):
    """Writes the averages of the best checkpoints once more when the training is over.

    ESPnet3 writes ``valid.loss.ave_Nbest.pth`` after each validation, but Lightning saves
    checkpoints after all other callbacks, so that the file lacks the latest: without this, a model
    that was best after the last epoch is never in it.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Called after the last checkpoint is saved."""
        for callback in trainer.callbacks:
            if isinstance(callback, AverageCheckpointsCallback):
                callback.on_validation_end(trainer, pl_module)
