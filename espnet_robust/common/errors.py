"""Errors that a user can fix. Each message is one line: which file, what is wrong, what to do."""

from collections.abc import Iterable, Iterator


class UserError(Exception):
    """Base of every error caused by input or configuration rather than by a bug."""


class ConfigError(UserError):
    """A YAML file or option is wrong."""


class DataDirError(UserError):
    """A data dir is missing, incomplete or inconsistent."""


class AudioError(UserError):
    """An audio file is missing, unreadable or holds something other than usable speech."""


class ModelError(UserError):
    """A model directory or checkpoint is missing, incomplete or does not fit the model."""


class TrainingError(UserError):
    """Training cannot go on: a loss is NaN or infinite, or there is nothing to learn from."""


class JobError(UserError):
    """A cluster does not take a job, or a job of it failed for good."""


def one_line_errors(batches: Iterable) -> Iterator:
    """Yield from ``batches``; a UserError from a worker process keeps its one-line message."""
    try:
        yield from batches
    except UserError as e:
        # DataLoader re-raises it with the worker's traceback as its message.
        last = str(e).strip().splitlines()[-1]
        raise type(e)(last.removeprefix(f"{type(e).__module__}.{type(e).__qualname__}: ")) from None
