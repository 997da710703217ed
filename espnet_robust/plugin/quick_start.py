"""Import this before ESPnet to halve ESPnet's start-up time.

ESPnet decorates nearly every class with ``typeguard.typechecked``, which reads and compiles its
source at each start. If this module is imported first, the decorator leaves ESPnet's classes alone
and works as usual for others. It is for commands only; ``import espnet_robust`` keeps the checks.
If ESPnet is missing or unsupported, the command ends here with a one-line error instead of a
traceback from a later import.
"""

import typeguard

from espnet_robust.common.cli import run
from espnet_robust.plugin.espnet_versions import check

_typechecked = typeguard.typechecked


def typechecked(target=None, **options):
    """typeguard's decorator, with or without options, except that it skips ESPnet's classes."""
    if target is None:
        return lambda target: typechecked(target, **options)
    if target.__module__.partition(".")[0] in ("espnet", "espnet2"):
        return target
    return _typechecked(target, **options)


typeguard.typechecked = typechecked
run(check)
