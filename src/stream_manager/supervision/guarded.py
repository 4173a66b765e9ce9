"""What a guard can stand around: functions whose failure it sees, sync or async."""

import inspect
from collections.abc import Callable, Coroutine


def runs_async(function: Callable[..., object], guard: str) -> bool:
    """Tell whether a function is to be awaited.

    Raises TypeError for what no guard can stand around: what is not a function (yet), and
    generators, whose bodies run only after the call has returned.
    """
    if isinstance(function, staticmethod | classmethod) or not callable(function):
        raise TypeError(
            f"{guard} needs a function, not {function!r}; "
            "staticmethod, classmethod and property stand above it"
        )
    faces = (function, type(function).__call__)  # an object may be called through its class
    if any(inspect.isgeneratorfunction(face) or inspect.isasyncgenfunction(face) for face in faces):
        raise TypeError(
            f"{guard} can't guard the generator {name_of(function)}: its body runs only when it is "
            "iterated, after the call has returned; guard the function that does the work"
        )
    return any(inspect.iscoroutinefunction(face) for face in faces)


def refuse_coroutine(
    result: Coroutine[object, object, object], function: Callable[..., object], guard: str
) -> None:
    """Raise TypeError for the coroutine of a call that was taken for a sync one.

    The guard would be over before the coroutine begins, and would silently guard nothing.
    """
    result.close()
    raise TypeError(
        f"{name_of(function)} returned a coroutine, which {guard} can't watch from outside: "
        "use acall, or decorate an async function"
    )


def name_of(function: Callable[..., object]) -> str:
    """Return what people call a function."""
    return getattr(function, "__qualname__", None) or repr(function)
