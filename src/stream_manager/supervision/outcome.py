"""What becomes of Python code, as faults: the one place where exceptions are translated."""

import errno
import socket

from stream_manager.recovery import Fault

ORIGIN = "python"


def exception_fault(error: BaseException) -> Fault:
    """Return the fault that an exception is.

    Its code is the errno where the system gave one ("ECONNREFUSED"), "dns" for a name that can't
    be resolved, else the type as a traceback names it ("ValueError", "package.module.Error").
    """
    return Fault(origin=ORIGIN, code=_code(error), text=str(error) or repr(error))


def _code(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return errno.errorcode[error.errno]
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
