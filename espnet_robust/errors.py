"""Errors a user can mend. Each message is one line: which file, what is wrong, what to do."""


class UserError(Exception):
    """Base of every error caused by input or configuration rather than by a bug."""


class ConfigError(UserError):
    """A YAML file or option is wrong."""


class DataDirError(UserError):
    """A data dir is missing, incomplete or inconsistent."""


class AudioError(UserError):
    """An audio file is missing, unreadable or holds something other than usable speech."""


class ModelError(UserError):
    """A model directory or checkpoint is missing, incomplete or of another shape."""


class TrainingError(UserError):
    """Training cannot go on: a loss is NaN or infinite, or there is nothing to learn from."""
