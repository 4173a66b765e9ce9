"""What a component's methods give back, and what it should have been."""

from collections.abc import Mapping
from inspect import isawaitable, iscoroutine

from stream_manager.errors import UsageError
from stream_manager.supervision.component import Component, Snapshot


async def awaited(method: str, component: Component, given: object) -> None:
    """Await what `method` gave. Raises UsageError for one that is not async."""
    if not isawaitable(given):
        raise UsageError(f"{_name(component, method)} is not async: write `async def {method}`")
    await given


def as_snapshot(component: Component, given: object) -> Snapshot | None:
    """Return what `snapshot` gave. Raises UsageError for an async one, and for no mapping."""
    name = _name(component, "snapshot")
    if iscoroutine(given):
        given.close()
        raise UsageError(f"{name} is async: write a plain `def snapshot`")
    if given is None or isinstance(given, Mapping):
        return given
    raise UsageError(f"{name} returned {given!r}: expected None, a dict or another mapping")


def _name(component: Component, method: str) -> str:
    return f"{type(component).__qualname__}.{method}"
