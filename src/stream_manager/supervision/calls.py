"""What a guard has to know of the calls it guards: their kind, and what their errors say."""

import inspect
from collections.abc import Callable

from stream_manager.errors import UsageError

# Of an error's text, what is remembered; some carry whole documents.
CAUSE_LENGTH = 200
_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

Errors = type[BaseException] | tuple[type[BaseException], ...]


def is_async(function: Callable[..., object]) -> bool:
    """Tell whether calling it makes a coroutine: a function, a partial, an object with __call__.

    Raises UsageError for a generator, whose work is done after the call.
    """
    code = getattr(function, "__code__", None)
    if code is not None and not vars(function):  # nothing marks it as what its code is not
        if code.co_flags & _GENERATOR:
            raise _is_generator(function)
        return bool(code.co_flags & inspect.CO_COROUTINE)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise _is_generator(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    )


def in_words(error: Exception) -> str:
    """Return kind and text of an error, cut; the text is made by the user's class and may raise."""
    try:
        said = str(error)[:CAUSE_LENGTH]
    except Exception:  # noqa: BLE001 - it is not our code, and nothing here depends on it
        said = ""
    kind = type(error).__name__
    return f"{kind}: {said}" if said else kind


def catchable(name: str, errors: Errors) -> Errors:
    """Return `errors` if `isinstance` takes them. Raises ValueError that tells the field's name."""
    kinds = errors if isinstance(errors, tuple) else (errors,)
    if not all(issubclass(type(kind), type) and issubclass(kind, BaseException) for kind in kinds):
        raise ValueError(f"{name} is {errors!r}: expected exceptions, or a tuple of them")
    return errors


def _is_generator(function: Callable[..., object]) -> UsageError:
    return UsageError(
        f"{function!r} is a generator, whose work is done after the call: "
        "guard what it calls, or write `with breaker:` inside it"
    )
