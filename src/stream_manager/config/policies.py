"""What the recovery keys mean together: one policy, or the reasons why there can be none."""

from sys import float_info

from stream_manager.config.lines import KeyPath
from stream_manager.config.report import Report
from stream_manager.config.tables import RecoveryTable
from stream_manager.recovery.backoff import Backoff
from stream_manager.recovery.budget import Budget
from stream_manager.recovery.policy import RecoveryPolicy


def policy_of(
    table: RecoveryTable, *, own: frozenset[str], path: KeyPath, report: Report
) -> RecoveryPolicy | None:
    """Return the policy, or None after errors; what concerns none of the `own` keys is not told.

    `path` is where these own keys stand: `[recovery]` or a stream.
    """
    backoff, budget = table.backoff, table.budget
    if backoff.cap < backoff.base:
        if "backoff" in own:
            report.error(
                _nearest(report, path, ("backoff", "cap"), ("backoff", "base")),
                f"a cap of {backoff.cap:g}s below a base of {backoff.base:g}s",
                "a cap of at least the base",
            )
        return None
    if table.verify_for >= table.start_deadline:
        if own & {"verify_for", "start_deadline"}:
            report.error(
                _nearest(report, path, ("verify_for",), ("start_deadline",)),
                f"verify_for of {table.verify_for:g}s, start_deadline of {table.start_deadline:g}s",
                "a start_deadline longer than verify_for, for it covers the proof",
            )
        return None
    paced = Backoff(
        base_s=backoff.base, factor=backoff.factor, cap_s=backoff.cap, jitter=backoff.jitter
    )
    soonest_s = _soonest_spent_s(paced, budget.restarts)
    if soonest_s > budget.within:
        if own & {"backoff", "budget"}:
            report.error(
                _nearest(report, path, ("budget",), ("backoff",)),
                f"{budget.restarts} restarts within {budget.within:g}s, "
                f"which the backoff spreads over at least {soonest_s:g}s",
                f"a limit that can be reached: fewer restarts, or within at least {soonest_s:g}s",
            )
        return None
    if table.stable_for < 2 * backoff.cap and own & {"backoff", "stable_for"}:
        report.warn(
            _nearest(report, path, ("stable_for",), ("backoff", "cap"), ("backoff",)),
            f"stable_for of {table.stable_for:g}s with a backoff.cap of {backoff.cap:g}s",
            f"stable_for of at least twice the cap, {2 * backoff.cap:g}s",
        )
    return RecoveryPolicy(
        backoff=paced,
        budget=Budget(restarts=budget.restarts, within_s=budget.within),
        stable_for_s=table.stable_for,
        verify_for_s=table.verify_for,
        start_deadline_s=table.start_deadline,
        give_up_after_attempts=table.give_up_after.attempts,
        give_up_after_s=table.give_up_after.duration_s,
        probe_every_s=table.probe_every,
    )


def _soonest_spent_s(backoff: Backoff, restarts: int) -> float:
    """Ask the policy itself, with a window that any schedule fits into."""
    endless = Budget(restarts=restarts, within_s=float_info.max)
    return RecoveryPolicy(backoff=backoff, budget=endless).soonest_spent_s()


def _nearest(report: Report, path: KeyPath, *keys: KeyPath) -> KeyPath:
    """Return the first of the keys that the file sets at `path`, or `path`."""
    return next((path + key for key in keys if report.has(path + key)), path)
