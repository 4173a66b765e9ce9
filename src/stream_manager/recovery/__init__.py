"""The recovery core: pure decisions, no I/O, no clock, no chance of its own.

Read in this order: faults, classify, own_rules, checks, backoff, budget, policy (what it decides
with), states (its words), engine (the table), commands, rise, fall, queueing, steps (its rows),
incidents (words for what components share), domains, choosing, course, outbreak (its rules), tree
(who stands on whom), manager (many components), saved (what outlives it), explain, advice and
reasons (what people read). Beside them, for guarded calls: retry_budget, and the circuit breaker
(breaker_policy, window, breaker_states, breaker, breaker_saved, breaker_words).
"""

from stream_manager.recovery.advice import advice
from stream_manager.recovery.backoff import Backoff
from stream_manager.recovery.breaker import Breaker
from stream_manager.recovery.breaker_policy import BreakerPolicy, BreakerRules, Ramp
from stream_manager.recovery.breaker_states import (
    BreakerState,
    Outcome,
    Permit,
    Probe,
    Transition,
    Trigger,
)
from stream_manager.recovery.breaker_words import transition_in_words
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
from stream_manager.recovery.retry_budget import RetryAllowance, RetryWindow
from stream_manager.recovery.saved import revive, save, was_ending
from stream_manager.recovery.spans import span
from stream_manager.recovery.states import (
    UP,
    Action,
    Admitted,
    Adopted,
    Decision,
    DomainDue,
    Due,
    Escalated,
    Event,
    Failed,
    Finished,
    Gone,
    Handover,
    HandoverStep,
    Held,
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
    "Admitted",
    "Adopted",
    "Backoff",
    "Breaker",
    "BreakerPolicy",
    "BreakerRules",
    "BreakerState",
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
    "Finished",
    "Gone",
    "Handover",
    "HandoverStep",
    "Held",
    "History",
    "Incident",
    "IncidentPolicy",
    "IncidentState",
    "IncidentStep",
    "Moment",
    "Outcome",
    "Permit",
    "Phase",
    "Probe",
    "Proved",
    "Ramp",
    "Record",
    "RecoveryManager",
    "RecoveryPolicy",
    "Reset",
    "Restart",
    "RestartType",
    "RetryAllowance",
    "RetryWindow",
    "Rule",
    "Spec",
    "Start",
    "Started",
    "Step",
    "Stop",
    "Strategy",
    "Transition",
    "Trigger",
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
    "transition_in_words",
    "was_ending",
]
