"""What a guard can stand around, sync or async, and what it keeps of their errors."""

import inspect
from collections.abc import Callable, Coroutine

from stream_manager.errors import UsageError

# Of an error's text, what is remembered; some carry whole documents.
CAUSE_LENGTH = 200
_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

Errors = type[BaseException] | tuple[type[BaseException], ...]


def runs_async(function: Callable[..., object], guard: str) -> bool:
    """Tell whether a function is to be awaited: also a partial, or an object with __call__.

    Raises UsageError for what no guard can stand around: what is not a function (yet), and
    generators, whose bodies run only after the call has returned.
    """
    code = getattr(function, "__code__", None)
    if code is not None and not vars(function):  # nothing marks it as what its code is not
        if code.co_flags & _GENERATOR:
            raise _is_generator(function, guard)
        return bool(code.co_flags & inspect.CO_COROUTINE)
    if isinstance(function, staticmethod | classmethod) or not callable(function):
        raise UsageError(
            f"{guard} needs a function, not {function!r}; "
            "staticmethod, classmethod and property stand above it"
        )
    faces = (function, type(function).__call__)  # an object may be called through its class
    if any(inspect.isgeneratorfunction(face) or inspect.isasyncgenfunction(face) for face in faces):
        raise _is_generator(function, guard)
    return any(inspect.iscoroutinefunction(face) for face in faces)


def refuse_coroutine(
    result: Coroutine[object, object, object], function: Callable[..., object], guard: str
) -> None:
    """Raise UsageError for the coroutine of a call that was taken for a sync one.

    The guard would be over before the coroutine begins, and would silently guard nothing.
    """
    result.close()
    raise UsageError(
        f"{name_of(function)} returned a coroutine, which {guard} can't watch from outside: "
        "use acall, or decorate an async function"
    )


def name_of(function: Callable[..., object]) -> str:
    """Return what people call a function."""
    return getattr(function, "__qualname__", None) or repr(function)


def in_words(error: Exception) -> str:
    """Return kind and text of an error, cut."""
    said, kind = text_of(error)[:CAUSE_LENGTH], type(error).__name__
    return f"{kind}: {said}" if said else kind


def text_of(error: BaseException) -> str:
    """Return what an error says; nothing where its class, which may be the user's, can't say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is not our code, and nothing here depends on it
        return ""


def catchable(name: str, errors: Errors) -> Errors:
    """Return `errors` if `isinstance` takes them. Raises ValueError that tells the field's name."""
    kinds = errors if isinstance(errors, tuple) else (errors,)
    if not all(issubclass(type(kind), type) and issubclass(kind, BaseException) for kind in kinds):
        raise ValueError(f"{name} is {errors!r}: expected exceptions, or a tuple of them")
    return errors


def _is_generator(function: Callable[..., object], guard: str) -> UsageError:
    return UsageError(
        f"{guard} can't guard the generator {name_of(function)}: its body runs only when it is "
        "iterated, after the call has returned; guard the function that does the work"
    )
