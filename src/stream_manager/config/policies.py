"""What the recovery keys mean together: one policy, or the reasons why there can be none."""

from stream_manager.config.lines import KeyPath
from stream_manager.config.report import Report
from stream_manager.config.settings import Limits
from stream_manager.config.tables import RecoveryTable
from stream_manager.recovery.backoff import Backoff
from stream_manager.recovery.budget import Budget
from stream_manager.recovery.policy import RecoveryPolicy, soonest_spent_s

_BASE = ("backoff", "base")
_CAP = ("backoff", "cap")
_SCHEDULE = (
    _BASE,
    _CAP,
    ("backoff", "factor"),
    ("backoff", "jitter"),
    ("budget", "restarts"),
    ("budget", "within"),
)


def policy_of(
    table: RecoveryTable, *, own: frozenset[str], path: KeyPath, report: Report
) -> RecoveryPolicy | None:
    """Return the policy, or None where keys contradict each other.

    `path` is where the `own` keys stand: `[recovery]` or a stream. What concerns none of them is
    told elsewhere, and what concerns a wrong one can't be known.
    """

    def concerns(*keys: KeyPath) -> bool:
        lost = any(report.is_wrong(place + key) for place in (path, ("recovery",)) for key in keys)
        return not lost and any(key[0] in own for key in keys)

    backoff, budget, stable_for_s = table.backoff, table.budget, table.stable_for
    cap_fits = backoff.cap >= backoff.base
    if not cap_fits and concerns(_BASE, _CAP):
        report.error(
            _nearest(report, path, _CAP, _BASE),
            f"a cap of {backoff.cap:g}s below a base of {backoff.base:g}s",
            "a cap of at least the base",
        )
    proof_fits = table.verify_for < table.start_deadline
    if not proof_fits and concerns(("verify_for",), ("start_deadline",)):
        report.error(
            _nearest(report, path, ("verify_for",), ("start_deadline",)),
            f"verify_for of {table.verify_for:g}s, start_deadline of {table.start_deadline:g}s",
            "a start_deadline longer than verify_for, for it covers the proof",
        )
    if stable_for_s < 2 * backoff.cap and concerns(_CAP, ("stable_for",)):
        report.warn(
            _nearest(report, path, ("stable_for",), _CAP, ("backoff",)),
            f"stable_for of {stable_for_s:g}s with a backoff.cap of {backoff.cap:g}s",
            f"stable_for of at least twice the cap, {2 * backoff.cap:g}s",
        )
    if not cap_fits:
        return None
    paced = Backoff(
        base_s=backoff.base, factor=backoff.factor, cap_s=backoff.cap, jitter=backoff.jitter
    )
    soonest_s = soonest_spent_s(paced, budget.restarts)
    limit_fits = soonest_s <= budget.within
    if not limit_fits and concerns(*_SCHEDULE):
        report.error(
            _nearest(report, path, ("budget",), ("backoff",)),
            f"{budget.restarts} restarts within {budget.within:g}s, "
            f"which the backoff spreads over at least {soonest_s:g}s",
            f"a limit that can be reached: fewer restarts, or within at least {soonest_s:g}s",
        )
    if not (proof_fits and limit_fits):
        return None
    return RecoveryPolicy(
        backoff=paced,
        budget=Budget(restarts=budget.restarts, within_s=budget.within),
        stable_for_s=stable_for_s,
        verify_for_s=table.verify_for,
        start_deadline_s=table.start_deadline,
        give_up_after_attempts=table.give_up_after.attempts,
        give_up_after_s=table.give_up_after.duration_s,
        probe_every_s=table.probe_every,
        enforce=table.enforce,
    )


def limits_of(table: RecoveryTable, *, path: KeyPath, report: Report) -> Limits | None:
    """Return the limits of a stream at `path`, or None where they contradict each other."""
    memory, above = table.limits.memory, table.limits.restart_above
    if memory is not None and above is not None and above >= memory:
        keys = ("limits", "restart_above"), ("limits", "memory")
        at = _nearest(report, path, *keys)
        if at == path:
            at = _nearest(report, ("recovery",), *keys)
        if not report.is_wrong(at):
            report.error(
                at,
                f"restart_above of {above / 2**20:g}MiB, memory of {memory / 2**20:g}MiB",
                "a restart_above below memory, for past that nothing is left to restart",
            )
        return None
    return Limits(memory_bytes=memory, restart_above_bytes=above)


def _nearest(report: Report, path: KeyPath, *keys: KeyPath) -> KeyPath:
    """Return the first of the keys that the file sets at `path`, or `path`."""
    return next((path + key for key in keys if report.has(path + key)), path)
