"""A record as plain values, so that the next manager goes on counting where this one ended.

Instants are monotonic: within one boot they hold as they are, and after another they are moved by
what the wall clock says, which is as near as one can get.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from stream_manager.recovery.checks import (
    given,
    member,
    require_counts,
    require_instants,
    require_kind,
    require_spans,
)
from stream_manager.recovery.classify import Rule
from stream_manager.recovery.faults import Cause, Fault, FaultClass
from stream_manager.recovery.replacing import replace
from stream_manager.recovery.states import Phase, Record, Sighting, Spec
from stream_manager.recovery.steps import given_up, gives_up

# What a rule has said of a fault stays said, also when the table of rules is another one.
_JUDGED = ("name", "charged", "probed")
_FAULT = tuple(it.name for it in fields(Fault))
_FLAGS = ("wanted", "proven", "finished")
_COUNTS = (
    *("epoch", "attempts", "excused", "restarts_total"),
    *("same_faults", "restore_failures"),
)
_COUNTED = (*_FLAGS, *_COUNTS, "digest", "delay_s", "ended_by")
_INSTANTS = ("due_s", "resume_s", "failing_since_s")


def save(record: Record) -> dict[str, Any]:
    """Return what outlives the manager, as values that JSON can hold."""
    saved: dict[str, Any] = {name: getattr(record, name) for name in (*_COUNTED, *_INSTANTS)}
    saved["phase"] = record.phase.value
    saved["gives_up"] = gives_up(record)
    saved["held_by"] = record.held_by
    saved["charged"] = list(record.charged)
    if record.last is not None:
        rule = record.last.rule
        saved["last"] = {
            "at_s": record.last.at_s,
            "fault": {name: getattr(record.last.fault, name) for name in _FAULT},
            "cause": rule.cause.value,
            "class": rule.fault_class.value,
            **{name: getattr(rule, name) for name in _JUDGED},
        }
    return saved


def revive(spec: Spec, saved: Mapping[str, Any], *, now_s: float, moved_s: float) -> Record:
    """Return the record of a component that has ended with its manager, or long after it.

    moved_s: what the saved instants have to be moved by to be instants of this boot. It waits for
    its next attempt, or for its probe if it had FAILED or was about to; what ran when the manager
    ended starts at once. Raises ValueError for values that `save` can't have returned: what was
    damaged is refused whole.
    """
    try:
        _check(saved)
        require_instants(moved_s=moved_s)
        return _revived(spec, saved, now_s, moved_s)
    except (KeyError, TypeError) as error:
        raise ValueError(f"the saved counters of {spec.id} can't be read: {error!r}") from error


def was_ending(saved: Mapping[str, Any], epoch: int) -> bool:
    """Tell whether it was decided to tear this run down and go on after it."""
    return bool(saved["phase"] == Phase.TEARING_DOWN.value and saved["epoch"] == epoch)


def _revived(spec: Spec, saved: Mapping[str, Any], now_s: float, moved_s: float) -> Record:
    def instant(value: float | None) -> float | None:
        return None if value is None else min(value + moved_s, now_s)

    record = Record(
        spec=spec,
        **_named(saved, _COUNTED),
        charged=tuple(min(at_s + moved_s, now_s) for at_s in saved["charged"]),
        failing_since_s=instant(saved["failing_since_s"]),
        last=_sighting(saved.get("last"), now_s, moved_s),
    )
    if not record.wanted:
        return record
    if saved["gives_up"]:
        return given_up(record, now_s)
    # No wait is longer than the policy allows, whatever the wall clock has done meanwhile.
    phase, policy = Phase(saved["phase"]), spec.policy
    if phase is Phase.FAILED:
        due_s = saved["due_s"]
        if due_s is not None:
            due_s = min(due_s + moved_s, now_s + policy.probe_every_s)
        return replace(record, phase=phase, due_s=due_s)
    waited_for_s = saved["due_s"] if phase is Phase.BACKING_OFF else saved["resume_s"]
    due_s = now_s if waited_for_s is None else waited_for_s + moved_s
    due_s = min(max(due_s, now_s), now_s + policy.backoff.cap_s)
    # The manager that takes it up parks it again, if its domain is still one of its own.
    return replace(record, phase=Phase.BACKING_OFF, due_s=due_s, held_by=saved["held_by"])


def _check(saved: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the field and its value, for what no record can have."""
    member(Phase, "phase", saved["phase"])
    require_kind(bool, gives_up=saved["gives_up"], **_named(saved, _FLAGS))
    require_counts(0, **_named(saved, _COUNTS))
    require_spans(delay_s=saved["delay_s"])
    require_instants(**given(**_named(saved, _INSTANTS)))
    texts = given(ended_by=saved["ended_by"], held_by=saved["held_by"])
    require_kind(str, digest=saved["digest"], **texts)
    require_kind(list, charged=saved["charged"])
    for at_s in saved["charged"]:
        require_instants(charged=at_s)


def _named(saved: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: saved[name] for name in names}


def _sighting(saved: Mapping[str, Any] | None, now_s: float, moved_s: float) -> Sighting | None:
    if saved is None:
        return None
    require_kind(Mapping, last=saved)
    require_kind(Mapping, fault=saved["fault"])
    fault = Fault(**_named(saved["fault"], _FAULT))
    require_kind(str, origin=fault.origin, code=fault.code, text=fault.text, name=saved["name"])
    require_counts(0, **given(status=fault.status))
    require_kind(bool, charged=saved["charged"], probed=saved["probed"])
    require_instants(at_s=saved["at_s"])
    rule = Rule(
        cause=member(Cause, "cause", saved["cause"]),
        fault_class=member(FaultClass, "class", saved["class"]),
        **_named(saved, _JUDGED),
    )
    return Sighting(fault=fault, rule=rule, at_s=min(saved["at_s"] + moved_s, now_s))
