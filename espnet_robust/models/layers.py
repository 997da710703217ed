"""The hidden states that ``frontend_conf: layers`` selects."""

from espnet_robust.common.errors import ConfigError


def select_layers(layers: str | int | list[int], depth: int) -> list[int]:
    """Selected layers of a model of ``depth`` layers, in rising order; 0 is the first one's input.

    >>> [select_layers(layers, 2) for layers in ("weighted_sum", "last", -2, [2, 0])]
    [[0, 1, 2], [2], [1], [0, 2]]

    Raises:
        ConfigError: ``layers`` is not ``weighted_sum``, ``last``, a layer or a list of layers.
    """
    if layers == "weighted_sum":
        return list(range(depth + 1))
    if layers == "last":
        return [depth]
    given = layers if isinstance(layers, list) else [layers]
    if given and all(type(n) is int and -depth - 1 <= n <= depth for n in given):
        return sorted({n % (depth + 1) for n in given if isinstance(n, int)})
    raise ConfigError(
        f"frontend_conf: layers: {layers!r} is not weighted_sum, last, a number in "
        f"{-depth - 1}..{depth} or a list of such numbers"
    )
