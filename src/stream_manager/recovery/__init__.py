"""The recovery core: pure decisions, no I/O, no clock, no chance of its own.

Read in this order: faults, classify, backoff, budget, policy (what it decides with), states (its
words), engine (the table), commands, rise, fall, queueing, steps (its rows), incidents (words for
what components share), domains, choosing, course, outbreak (its rules), manager (many components),
explain, advice and reasons (what people read).
"""

from stream_manager.recovery.advice import advice
from stream_manager.recovery.backoff import Backoff
from stream_manager.recovery.budget import Budget
from stream_manager.recovery.classify import RULES, History, Rule, When, classify
from stream_manager.recovery.explain import describe, in_words
from stream_manager.recovery.faults import Cause, Fault, FaultClass, exit_fault
from stream_manager.recovery.incidents import (
    Incident,
    IncidentPolicy,
    IncidentState,
    IncidentStep,
    Moment,
    Step,
)
from stream_manager.recovery.manager import RecoveryManager
from stream_manager.recovery.policy import RecoveryPolicy
from stream_manager.recovery.reasons import explain
from stream_manager.recovery.spans import span
from stream_manager.recovery.states import (
    UP,
    Action,
    Admitted,
    Decision,
    DomainDue,
    Due,
    Escalated,
    Event,
    Failed,
    Gone,
    Held,
    Phase,
    Proved,
    Record,
    Reset,
    Restart,
    Spec,
    Start,
    Started,
    Stop,
    Wanted,
)

__all__ = [
    "RULES",
    "UP",
    "Action",
    "Admitted",
    "Backoff",
    "Budget",
    "Cause",
    "Decision",
    "DomainDue",
    "Due",
    "Escalated",
    "Event",
    "Failed",
    "Fault",
    "FaultClass",
    "Gone",
    "Held",
    "History",
    "Incident",
    "IncidentPolicy",
    "IncidentState",
    "IncidentStep",
    "Moment",
    "Phase",
    "Proved",
    "Record",
    "RecoveryManager",
    "RecoveryPolicy",
    "Reset",
    "Restart",
    "Rule",
    "Spec",
    "Start",
    "Started",
    "Step",
    "Stop",
    "Wanted",
    "When",
    "advice",
    "classify",
    "describe",
    "exit_fault",
    "explain",
    "in_words",
    "span",
]
