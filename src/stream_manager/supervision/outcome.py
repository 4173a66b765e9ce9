"""What becomes of Python code, as faults: the one place where exceptions are translated."""

import errno
import socket
import ssl

from stream_manager.recovery import Fault
from stream_manager.supervision.guarded import text_of

ORIGIN = "python"
# What the type alone says, first match first: many are raised by libraries, without a number.
CODES: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "dns"),
    (TimeoutError, "ETIMEDOUT"),
    (ConnectionRefusedError, "ECONNREFUSED"),
    (ConnectionResetError, "ECONNRESET"),
    (BrokenPipeError, "EPIPE"),
    (ConnectionError, "ECONNABORTED"),
    (ssl.SSLEOFError, "ECONNRESET"),
    (ssl.SSLZeroReturnError, "ECONNRESET"),
)


def exception_fault(error: BaseException) -> Fault:
    """Return the fault that an exception is.

    Its code is the errno where the system gave one ("ECONNREFUSED"), or the one that its type
    stands for ("ETIMEDOUT" for a TimeoutError), "dns" for a name that can't be resolved, else the
    type as a traceback names it ("ValueError", "package.module.Error"). A group of errors that
    all have one code, as a TaskGroup raises it, is the first of them.
    """
    error = _within(error)
    return Fault(
        origin=ORIGIN, code=_code(error), text=text_of(error) or f"{type(error).__name__}()"
    )


def _within(error: BaseException) -> BaseException:
    """Return what a group comes down to, if all its errors have one code; anything else as is."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    errors = [_within(it) for it in error.exceptions]
    return errors[0] if len({_code(it) for it in errors}) == 1 else error


def _code(error: BaseException) -> str:
    # The numbers of TLS and of name resolution are their own.
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror | ssl.SSLError):
        named = errno.errorcode.get(error.errno or 0)
        if named is not None:
            return named
    for kind, code in CODES:
        if isinstance(error, kind):
            return code
    module, name = type(error).__module__, type(error).__qualname__
    return name if module == "builtins" else f"{module}.{name}"
