"""ESPnet starts in half the time in a process that imports this first.

ESPnet decorates nearly every class with ``typeguard.typechecked``, which reads and compiles its
source at each start. Commands import this module before ESPnet: the decorator then leaves
ESPnet's classes as they are, and those of others it treats as always. It is for commands only;
who imports ``espnet_robust`` keeps the checks. No ESPnet, or one that cannot be used, ends the
command here with one line, before an import from it is a traceback.
"""

import typeguard

from espnet_robust.common.cli import run
from espnet_robust.plugin.espnet_versions import check

_typechecked = typeguard.typechecked


def typechecked(target=None, **options):
    """typeguard's decorator, with or without options, which spares ESPnet."""
    if target is None:
        return lambda target: typechecked(target, **options)
    if target.__module__.partition(".")[0] in ("espnet", "espnet2"):
        return target
    return _typechecked(target, **options)


typeguard.typechecked = typechecked
run(check)
