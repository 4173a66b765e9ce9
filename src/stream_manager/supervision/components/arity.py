"""What a user's function is, and how many arguments it wants to be given."""

from collections.abc import Callable
from inspect import Parameter, signature

from stream_manager.errors import UsageError

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def arity(function: Callable[..., object]) -> int:
    """Return how many positional arguments `function` needs; 0 where it can't be asked."""
    try:
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # some callables written in C
        return 0
    return sum(it.kind in _POSITIONAL and it.default is Parameter.empty for it in parameters)


def accepts(function: Callable[..., object], arguments: int) -> bool:
    """Tell whether `function` can be called with so many; true where it can't be asked."""
    try:
        wanted = signature(function)
    except (TypeError, ValueError):
        return True
    try:
        wanted.bind(*range(arguments))
    except TypeError:
        return False
    return True


def require_callable(function: object) -> None:
    """Raise UsageError for a value in the place of a function."""
    if not callable(function):
        raise UsageError(f"{function!r} is no function: hand one over, without calling it")


def name_of(function: object) -> str:
    """Return what a person calls it."""
    return str(getattr(function, "__name__", None) or repr(function))
