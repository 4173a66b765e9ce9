"""What is handed to `Supervisor.add`, taken in as a component or refused."""

from inspect import iscoroutine

from stream_manager.errors import UsageError
from stream_manager.supervision.component import Component
from stream_manager.supervision.components.arity import accepts
from stream_manager.supervision.components.function import AsyncFunction

_METHODS = ("start", "teardown", "snapshot")
_FORM = "`async def start(self, run)`, `async def teardown(self)` and `def snapshot(self)`"


def as_component(given: object) -> Component:
    """Return what was handed over as a component.

    Raises UsageError for the mistakes that are easily made: a class, a coroutine, a plain value,
    an object that lacks a method or has one that takes something else.
    """
    if isinstance(given, type):
        raise UsageError(f"{given.__qualname__} is a class: hand over an instance of it")
    if isinstance(given, Component):
        _check(given)
        return given
    if callable(given):
        return AsyncFunction(given)
    if iscoroutine(given):
        given.close()
        raise UsageError(
            f"{given.__name__}() is called already, and a coroutine can't be started twice: "
            f"hand over the function, `{given.__name__}`"
        )
    lacks = [name for name in _METHODS if not hasattr(given, name)]
    missing = f": it has no {', no '.join(lacks)}" if len(lacks) < len(_METHODS) else ""
    raise UsageError(f"{given!r} is neither an async function nor a Component{missing}")


def _check(component: Component) -> None:
    for name, arguments in zip(_METHODS, (1, 0, 0), strict=True):
        if not accepts(getattr(component, name), arguments):
            raise UsageError(
                f"{type(component).__qualname__}.{name} takes other arguments: expected {_FORM}"
            )
