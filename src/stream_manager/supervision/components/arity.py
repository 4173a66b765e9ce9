"""How many arguments a user's function wants to be given."""

from collections.abc import Callable
from inspect import Parameter, signature

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def arity(function: Callable[..., object]) -> int:
    """Return how many positional arguments `function` needs; 0 where it can't be asked."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # some callables written in C
        return 0
    return sum(it.kind in _POSITIONAL and it.default is Parameter.empty for it in parameters)
