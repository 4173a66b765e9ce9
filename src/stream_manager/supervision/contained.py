"""`Contained`: a coroutine that asks the program to end, and ends only itself."""

from collections.abc import Callable, Coroutine
from typing import Any


class Contained(Coroutine[Any, Any, object]):
    """Runs `work` as it is, but for SystemExit, which `on_exit` is told: an event loop ends by it.

    No coroutine around it: one that swallows its end would be torn out of its `finally` blocks.
    """

    def __init__(
        self, work: Coroutine[Any, Any, object], on_exit: Callable[[SystemExit], None]
    ) -> None:
        self._work = work
        self._on_exit = on_exit

    def __await__(self) -> Any:  # noqa: ANN401 - whatever the work waits for
        return (yield from self._work.__await__())

    def send(self, value: object, /) -> Any:  # noqa: ANN401
        """Go on with the work."""
        return self._step(self._work.send, value)

    def throw(self, *error: Any) -> Any:  # noqa: ANN401
        """Interrupt the work."""
        return self._step(self._work.throw, *error)

    def close(self) -> None:
        """End the work where it waits."""
        self._work.close()

    def _step(self, step: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        try:
            return step(*arguments)
        except SystemExit as error:
            self._on_exit(error)
            raise StopIteration from error
