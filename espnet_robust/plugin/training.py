"""Make every ESPnet training safe to kill: it can be resumed from any moment.

``hook_trainings()`` replaces four class methods of ESPnet, once per process. Each new method calls
the original:

    Trainer.run                    writes an epoch's files all or nothing (``common/saving.py``)
    AbsTask.main_worker            lets one training at a time use a directory, one rank a GPU, and
                                   keep the linear layers it was begun with (``onednn/choice.py``);
                                   checks the best models at its end (``checkpoints.py``)
    AbsTask.build_sequence_iter_factory   shares one process's batches among ranks (``shares.py``)
    AbsTask.build_model_from_file  loads only the weights of a model (``checkpoints.py``)
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

import torch
from espnet2.tasks.abs_task import AbsTask
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.trainer import Trainer
from espnet2.utils.build_dataclass import build_dataclass

from espnet_robust.common.errors import ConfigError, ModelError
from espnet_robust.common.files import write_atomic
from espnet_robust.common.processes import locked
from espnet_robust.common.saving import Saving
from espnet_robust.models.onednn.choice import settle
from espnet_robust.plugin.adapters import adapters, check_whole
from espnet_robust.plugin.checkpoints import (
    check_trained,
    difference,
    read_weights,
    reading,
    weights_only,
)
from espnet_robust.plugin.frontend import RobustFrontend
from espnet_robust.plugin.shares import build_shares, weigh_shares

LOCK = ".training.lock"
# The workers of a killed training hold its lock too. They end when they find their parent gone,
# which torch makes them check every 5 s.
PATIENCE_S = 12.0

_RANK_SEED = 1_000_003  # more than there are epochs
_HOOKED = "_espnet_robust_trains_safely"


class NotResumed(ModelError):
    """A training cannot go on from its checkpoint."""


class SafeTrainer:
    """Wrappers around the methods of an ESPnet trainer, used as its base class."""

    @classmethod
    def resume(cls, checkpoint, model, **kwargs) -> None:
        """Load a checkpoint. Raises NotResumed if it is unreadable or of another model."""
        for module in model.modules():
            if isinstance(module, RobustFrontend):
                module.register_load_state_dict_pre_hook(_refuse_other_student)
        try:
            super().resume(checkpoint=checkpoint, model=model, **kwargs)
        except ModelError as e:
            raise NotResumed(str(e)) from e
        except Exception as e:
            raise NotResumed(
                f"{checkpoint}: training cannot resume from it: "
                f"{difference(Path(checkpoint), model, e)}; use the original configuration, or "
                "remove the directory"
            ) from e

    @classmethod
    def train_one_epoch(cls, *, options, distributed_option, **kwargs) -> bool:
        if is_first_rank(distributed_option):
            Saving(Path(options.output_dir)).end()  # for the epoch before
        else:
            # ESPnet seeds all ranks alike; each is to have dropout of its own.
            seed = options.seed + kwargs["reporter"].epoch
            torch.manual_seed(seed + _RANK_SEED * distributed_option.dist_rank)
        return super().train_one_epoch(
            options=options, distributed_option=distributed_option, **kwargs
        )

    @classmethod
    def validate_one_epoch(cls, *, options, distributed_option, **kwargs) -> None:
        super().validate_one_epoch(options=options, distributed_option=distributed_option, **kwargs)
        if is_first_rank(distributed_option):
            Saving(Path(options.output_dir)).begin()


def _refuse_other_student(frontend: RobustFrontend, states: dict, prefix: str, *_) -> None:
    """Before a checkpoint overwrites the frozen weights that ``student`` names now.

    A model with adapters is left out: they change its weights. So is one without weights as yet,
    which only a dumped configuration describes.
    """
    if not frontend.freeze or not frontend.loaded or adapters(frontend.speech_model):
        return
    for key, now in frontend.speech_model.state_dict().items():
        saved = states.get(f"{prefix}speech_model.{key}", now)
        if saved.shape == now.shape and not torch.equal(saved.to(now), now):
            raise ModelError(
                f"frontend_conf: student: not the one that this training was begun with ({key} "
                "differs); use that one, or another output_dir"
            )


def is_first_rank(option: DistributedOption) -> bool:
    """Whether this process is the one that writes files."""
    return not option.distributed or option.dist_rank == 0


def hook_trainings() -> None:
    """Replace the methods named in the module's docstring. Idempotent."""
    if _HOOKED in vars(AbsTask):
        return
    setattr(AbsTask, _HOOKED, True)
    run, work = Trainer.run.__func__, AbsTask.main_worker.__func__
    build = AbsTask.build_model_from_file.__func__
    iterate = AbsTask.build_sequence_iter_factory.__func__

    def safe_run(cls, *, model, trainer_options, distributed_option, **kwargs) -> None:
        safe = type(cls.__name__, (SafeTrainer, cls), {})
        saving, first = Saving(Path(trainer_options.output_dir)), is_first_rank(distributed_option)
        if first:
            saving.undo()
        if distributed_option.distributed:
            weigh_shares(model)
            torch.distributed.barrier()
        options = {"trainer_options": trainer_options, "distributed_option": distributed_option}
        with _one_line_if_full(saving.out):
            run(safe, model=model, **options, **kwargs)
            if first:
                saving.end()

    def main_worker(cls, args: argparse.Namespace):
        if args.ngpu > 1:  # torch's DataParallel, which copies the model at each step
            raise ConfigError(
                f"ngpu {args.ngpu}: a process trains on one GPU; start as many as there are GPUs: "
                f"espnet-robust launch --processes {args.ngpu} MODULE --ngpu 1 ..."
            )
        option = build_dataclass(DistributedOption, args)
        option.init_options()
        with _lock(args, option), weights_only():
            _settle(args, option)
            with _as_before(args, option):
                work(cls, args)
            if is_first_rank(option):
                _check_best(args)
            _end_group()

    def build_sequence_iter_factory(cls, args, iter_options, mode):
        return build_shares(iterate, cls, args, iter_options, mode)

    def build_model_from_file(cls, config_file=None, model_file=None, device="cpu"):
        with reading(model_file):
            model, args = build(cls, config_file, model_file, device)
        for module in model.modules():
            if isinstance(module, RobustFrontend):
                module.cache_nothing()  # in inference, each utterance comes once
        if model_file is not None and getattr(args, "use_adapter", False):
            path = Path(model_file)
            check_whole(model, read_weights(path).keys(), path, RobustFrontend)
        return model, args

    Trainer.run = classmethod(safe_run)
    # The processes of multi-GPU training find it by this name.
    AbsTask.main_worker = classmethod(main_worker)
    AbsTask.build_sequence_iter_factory = classmethod(build_sequence_iter_factory)
    AbsTask.build_model_from_file = classmethod(build_model_from_file)


def _check_best(args: argparse.Namespace) -> None:
    """Check the best models of a training before anything is built on them."""
    out = Path(args.output_dir or "")
    for split, key, *_ in args.best_model_criterion:
        if os.path.lexists(out / f"{split}.{key}.best.pth"):
            check_trained(out, f"{split}.{key}.best.pth")


def _end_group() -> None:
    """Leave together: threads of the process group, still there at exit, may abort a process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def _as_before(args: argparse.Namespace, option: DistributedOption):
    """Restore the configuration, which ESPnet overwrites before it resumes, if that is refused."""
    config = Path(args.output_dir or "") / "config.yaml"
    before = config.read_bytes() if is_first_rank(option) and config.is_file() else None
    try:
        yield
    except NotResumed:
        if before is not None:
            write_atomic(config, before)
        raise


@contextlib.contextmanager
def _one_line_if_full(out: Path):
    """Turn torch's errors on a full disk, RuntimeErrors about its internals, into one line."""
    try:
        yield
    except RuntimeError as e:
        if "PytorchStreamWriter" not in str(e) and "unexpected pos" not in str(e):
            raise
        raise ModelError(
            f"{out}: a checkpoint cannot be written; is the disk full? Make room and run this "
            "again: training resumes after the last saved epoch"
        ) from e


def _settle(args: argparse.Namespace, option: DistributedOption) -> None:
    """Use the linear layers that this training was begun with; printed, as ESPnet logs later."""
    if args.output_dir and not args.ngpu:
        out = Path(args.output_dir)
        out.mkdir(parents=True, exist_ok=True)
        print(settle(out, 0 if is_first_rank(option) else option.dist_rank), file=sys.stderr)


def _lock(args: argparse.Namespace, option: DistributedOption):
    """Lock the output directory, in the process that writes there."""
    if not is_first_rank(option) or not args.output_dir:
        return contextlib.nullcontext()
    out = Path(args.output_dir)
    return locked(out / LOCK, out, patience_s=PATIENCE_S)
