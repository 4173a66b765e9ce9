"""What was raised, as faults: a code that the rules know, and the text for people."""

import errno
import socket
import ssl

import pytest

from stream_manager.errors import OutsideError
from stream_manager.recovery import Cause, History, classify
from stream_manager.supervision.components.arity import arity
from stream_manager.supervision.outcome import exception_fault

FRESH = History(proven=True, attempts=0, last_cause=None, since_last_s=None)


class LostServerError(ConnectionError):
    """What a library raises, without a number."""


@pytest.mark.parametrize(
    ("error", "code", "cause"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "no"), "ECONNREFUSED", Cause.NETWORK),
        (OSError(errno.ENOSPC, "full"), "ENOSPC", Cause.STORAGE),
        (socket.gaierror(-2, "Name or service not known"), "dns", Cause.NETWORK),
        (TimeoutError("timed out"), "ETIMEDOUT", Cause.NETWORK),
        (ConnectionRefusedError("no"), "ECONNREFUSED", Cause.NETWORK),
        (ConnectionResetError("no"), "ECONNRESET", Cause.NETWORK),
        (BrokenPipeError("no"), "EPIPE", Cause.NETWORK),
        (ConnectionAbortedError("no"), "ECONNABORTED", Cause.NETWORK),
        (ConnectionError("no"), "ECONNABORTED", Cause.NETWORK),
        (LostServerError("no"), "ECONNABORTED", Cause.NETWORK),
        (ssl.SSLEOFError(8, "EOF occurred"), "ECONNRESET", Cause.NETWORK),
        (ssl.SSLZeroReturnError(6, "closed"), "ECONNRESET", Cause.NETWORK),
        (ssl.SSLCertVerificationError(1, "no"), "ssl.SSLCertVerificationError", Cause.UNKNOWN),
        (TimeoutError(errno.EHOSTUNREACH, "no way"), "EHOSTUNREACH", Cause.NETWORK),
        (OSError("no number"), "OSError", Cause.UNKNOWN),
        (OSError(99999, "an unknown number"), "OSError", Cause.UNKNOWN),
        (ValueError("no"), "ValueError", Cause.UNKNOWN),
        (OutsideError("no"), "stream_manager.errors.OutsideError", Cause.UNKNOWN),
    ],
)
def test_an_exception_becomes_the_fault_that_it_is(
    error: Exception, code: str, cause: Cause
) -> None:
    """The system's own code where there is one, else the type as a traceback names it."""
    fault = exception_fault(error)
    assert (fault.origin, fault.code, fault.text) == ("python", code, str(error))
    assert classify(fault, FRESH).cause is cause


def test_an_exception_without_words_is_shown_as_it_is() -> None:
    """An empty sentence helps nobody."""
    assert exception_fault(KeyError()).text == "KeyError()"


def test_a_group_of_errors_is_the_fault_that_all_in_it_are() -> None:
    """What a TaskGroup raises when the network is down is no unknown fault."""
    refused = [ConnectionRefusedError(errno.ECONNREFUSED, text) for text in ("one", "two")]
    group = ExceptionGroup("reading", [ExceptionGroup("both", refused), refused[1]])
    fault = exception_fault(group)
    assert (fault.code, fault.text) == ("ECONNREFUSED", "[Errno 111] one")
    mixed = exception_fault(ExceptionGroup("reading", [*refused, KeyError("it")]))
    assert (mixed.code, mixed.text) == ("ExceptionGroup", "reading (3 sub-exceptions)")


def test_an_exception_that_can_not_be_told_is_a_fault_all_the_same() -> None:
    """Else what it ended would be dead, and count as running."""

    class SpeechlessError(Exception):
        def __str__(self) -> str:
            raise LookupError("no words")

    fault = exception_fault(SpeechlessError())
    assert fault.code.endswith("SpeechlessError")
    assert fault.text == "SpeechlessError()"


def test_the_arity_of_anything_callable() -> None:
    """Defaults and keywords need not be given; what can't be asked is given nothing."""

    def function(one: int, two: int = 2, *, three: int = 3) -> None: ...

    assert arity(function) == 1
    assert arity(lambda: None) == 0
    assert arity(str) == 0
