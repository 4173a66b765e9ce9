"""Faults: every kind of failure, from every layer, as one small value."""

import signal
from dataclasses import dataclass
from enum import Enum


class Cause(Enum):
    """What kind of thing went wrong, in the words that people use."""

    NETWORK = "network"
    AUTH = "auth"
    NOT_FOUND = "not-found"
    MEDIA = "media"
    STALL = "stall"
    CRASH = "crash"
    HANG = "hang"
    STORAGE = "storage"
    MEMORY = "memory"
    CPU = "cpu"
    NODE = "node"
    DEVICE = "device"
    CONFIG = "config"
    UNKNOWN = "unknown"

    __hash__ = object.__hash__  # each is one object; Enum's own hash is computed by its name


class FaultClass(Enum):
    """What a fault asks for."""

    TRANSIENT = "transient"  # retry at once
    RECOVERABLE = "recoverable"  # retry with backoff
    FATAL = "fatal"  # do not retry
    CASCADE = "cascade"  # something shared is broken: nobody's own fault

    __hash__ = object.__hash__  # as Cause's


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One normalised fact of failure, not yet judged.

    origin: where it was seen: an element's factory name ("rtspsrc"), or "process", "connect",
        "health", "teardown", "control", "forkserver", "python".
    code: stable and exact: "gst-resource-error:9", "ECONNREFUSED", "SIGSEGV", "exit:2", "stall".
    status: an RTSP status, where there is one.
    text: for people, free of secrets; never parsed.
    """

    origin: str
    code: str
    status: int | None = None
    text: str = ""

    def same_as(self, other: "Fault | None") -> bool:
        """Tell whether both are the same fault, whatever their texts say."""
        return other is not None and (self.origin, self.code, self.status) == (
            other.origin,
            other.code,
            other.status,
        )


def exit_fault(exit_code: int | None) -> Fault:
    """Translate a process's end, as os.waitstatus_to_exitcode tells it; None: nobody saw it."""
    if exit_code is None:
        return Fault(origin="process", code="exit:unknown", text="the process ended unseen")
    if exit_code >= 0:
        return Fault(
            origin="process",
            code=f"exit:{exit_code}",
            text=f"the process ended with exit code {exit_code}",
        )
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal:{-exit_code}"
    return Fault(origin="process", code=name, text=f"the process was ended by {name}")
