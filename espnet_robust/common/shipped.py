"""Where the YAML files that come with the package are."""

from pathlib import Path


def conf_dir() -> Path:
    """The checkout's ``conf/``, or its copy in an installed package."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"
