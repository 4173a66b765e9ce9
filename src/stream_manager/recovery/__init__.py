"""The recovery core: pure decisions, no I/O, no clock, no chance of its own.

Read in this order: faults, classify, backoff, budget, policy (what it decides with), states (its
words), engine (the table), commands, rise, fall, steps (its rows), tree (who stands on whom),
manager (many components), saved (what outlives it), explain, advice and reasons (what people read).
"""

from stream_manager.recovery.advice import advice
from stream_manager.recovery.backoff import Backoff
from stream_manager.recovery.budget import Budget
from stream_manager.recovery.classify import RULES, History, Rule, When, classify
from stream_manager.recovery.explain import describe, in_words
from stream_manager.recovery.faults import Cause, Fault, FaultClass, exit_fault
from stream_manager.recovery.manager import RecoveryManager
from stream_manager.recovery.policy import RecoveryPolicy
from stream_manager.recovery.reasons import explain
from stream_manager.recovery.saved import revive, save
from stream_manager.recovery.spans import span
from stream_manager.recovery.states import (
    UP,
    Action,
    Decision,
    Due,
    Escalated,
    Event,
    Failed,
    Finished,
    Gone,
    Phase,
    Proved,
    Record,
    Reset,
    Restart,
    RestartType,
    Spec,
    Start,
    Started,
    Stop,
    Strategy,
    Wanted,
)

__all__ = [
    "RULES",
    "UP",
    "Action",
    "Backoff",
    "Budget",
    "Cause",
    "Decision",
    "Due",
    "Escalated",
    "Event",
    "Failed",
    "Fault",
    "FaultClass",
    "Finished",
    "Gone",
    "History",
    "Phase",
    "Proved",
    "Record",
    "RecoveryManager",
    "RecoveryPolicy",
    "Reset",
    "Restart",
    "RestartType",
    "Rule",
    "Spec",
    "Start",
    "Started",
    "Stop",
    "Strategy",
    "Wanted",
    "When",
    "advice",
    "classify",
    "describe",
    "exit_fault",
    "explain",
    "in_words",
    "revive",
    "save",
    "span",
]
