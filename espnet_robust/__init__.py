"""Distortion-robust distillation of self-supervised speech models, as an ESPnet extension."""


def register() -> int:
    """Make ``frontend: robust_student`` known to ESPnet in this process; see ``registration``.

    Call it before ESPnet builds a model, in training and inference alike::

        from espnet_robust import register

        register()

    Returns:
        The number of ESPnet's frontend tables that have it.

    Raises:
        ConfigError: ESPnet is not installed, or its version is not supported.
    """
    # Imported here because they need torch and ESPnet; most of the package needs neither.
    from espnet_robust.plugin.espnet_versions import check

    check()
    from espnet_robust.plugin.registration import register as register_all

    return register_all()
