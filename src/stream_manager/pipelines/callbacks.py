"""What keeps a bug of ours from silencing the worker."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

Arguments = ParamSpec("Arguments")


def lasting(callback: Callable[Arguments, bool]) -> Callable[Arguments, bool]:
    """Make a GLib callback that goes on after an exception, which sys.excepthook is told of.

    PyGObject would take the exception for False and remove the source for good.
    """

    @wraps(callback)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> bool:
        try:
            return callback(*args, **kwargs)
        except Exception:  # noqa: BLE001 - the main loop's root: the hook records it
            sys.excepthook(*sys.exc_info())
            return True

    return call
