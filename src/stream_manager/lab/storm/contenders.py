"""The policies that are compared, all on the same engine: what differs is pace and domains."""

from dataclasses import dataclass, replace

from stream_manager.recovery import Backoff, RecoveryPolicy
from stream_manager.recovery.policy import soonest_spent_s

# What the figures of the documentation are made with, where no policy is given.
POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, cap_s=10.0), verify_for_s=0.1)
FIXED_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A name, a policy, and whether its components tell the engine what they share."""

    name: str
    policy: RecoveryPolicy
    domains: bool = False


def contenders(policy: RecoveryPolicy) -> tuple[Contender, ...]:
    """Return the three usual ways to retry, with the limits of `policy`, and `policy` itself."""
    backoff = policy.backoff
    fixed = Backoff(base_s=FIXED_S, factor=1.0, cap_s=FIXED_S, jitter="none")
    return (
        Contender(name=f"fixed {FIXED_S:g} s", policy=paced(policy, fixed)),
        Contender(name="exponential", policy=paced(policy, replace(backoff, jitter="none"))),
        Contender(name="full jitter", policy=paced(policy, replace(backoff, jitter="full"))),
        Contender(name="ours", policy=policy, domains=True),
    )


def paced(policy: RecoveryPolicy, backoff: Backoff) -> RecoveryPolicy:
    """Return `policy` at another pace; its budget's window widens where it could never be spent."""
    budget = policy.budget
    within_s = max(budget.within_s, soonest_spent_s(backoff, budget.restarts))
    return replace(policy, backoff=backoff, budget=replace(budget, within_s=within_s))
