"""What is told of an attempt that failed."""

from dataclasses import dataclass
from enum import Enum


class GaveUp(Enum):
    """Why a failed attempt was the last one."""

    ATTEMPTS = "attempts"  # as many as allowed were made
    DEADLINE = "deadline"  # the next one would have begun at the deadline or past it
    BUDGET = "budget"  # everybody's retries together have spent it
    CANCELLED = "cancelled"  # the task was asked to end, and the call made an error of that


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """An attempt that failed with an error of `on`, and what follows from it.

    function: the qualified name of what was called.
    number: of this attempt, counted from 1; attempts: the most that are made, the first included.
    elapsed_s: seconds since the first attempt began.
    delay_s: seconds until the next attempt, None where there is none; gave_up: then, why.
    """

    function: str
    number: int
    attempts: int
    error: Exception
    elapsed_s: float
    delay_s: float | None
    gave_up: GaveUp | None
