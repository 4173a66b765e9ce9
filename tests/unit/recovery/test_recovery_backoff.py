"""Pace: how long the core waits before it tries again."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.recovery import Backoff, Fault, Phase, RecoveryPolicy, Spec
from stream_manager.recovery.backoff import Jitter
from stream_manager.testing import Script

REFUSED = Fault(origin="connect", code="ECONNREFUSED")
CRASHED = Fault(origin="process", code="SIGSEGV")
STEADY = Backoff(base_s=0.5, factor=2.0, cap_s=30.0, jitter="none")
JITTERS: tuple[Jitter, ...] = ("none", "full", "equal", "decorrelated")


def lowest() -> float:
    """Draw the least chance there is."""
    return 0.0


def middle() -> float:
    """Draw the middle."""
    return 0.5


def camera(backoff: Backoff) -> Script:
    """Give one component with this backoff, and with no other limit."""
    return Script(Spec(id="cam", policy=RecoveryPolicy(backoff=backoff)))


def waits(script: Script, faults: int) -> list[float]:
    """Let the component fail so often in a row; return how long each next attempt waited."""
    delays_s = []
    for _ in range(faults):
        script.breaks("cam", REFUSED)
        delays_s.append(script["cam"].delay_s)
        script.passes(script["cam"].delay_s)
        assert script.phase("cam") is Phase.STARTING
    return delays_s


def test_delays_grow_by_the_factor_up_to_the_cap() -> None:
    """Each network fault doubles the wait until it is the cap, where it stays."""
    script = camera(STEADY)
    script.wants("cam")
    assert waits(script, 9) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize("jitter", JITTERS)
def test_the_exponent_is_clamped(jitter: Jitter) -> None:
    """The millionth retry waits about the cap like the tenth: nothing overflows."""
    backoff = Backoff(base_s=0.5, factor=100.0, cap_s=30.0, jitter=jitter)
    assert backoff.ceiling_s(10**6) == 30.0
    assert 0.0 <= backoff.delay_s(10**6, lambda: 0.999, 30.0) <= 30.0


@given(
    jitter=st.sampled_from(JITTERS),
    n=st.integers(0, 10**6),
    base_s=st.floats(0.001, 10.0),
    factor=st.floats(1.0, 100.0),
    stretch=st.floats(1.0, 1000.0),
    drawn=st.floats(0.0, 1.0, exclude_max=True),
    previous=st.floats(0.0, 1.0),
)
def test_every_jitter_stays_within_its_bounds(
    jitter: Jitter,
    n: int,
    base_s: float,
    factor: float,
    stretch: float,
    drawn: float,
    previous: float,
) -> None:
    """No draw is below the least that the backoff promises, and none above its cap."""
    backoff = Backoff(base_s=base_s, factor=factor, cap_s=base_s * stretch, jitter=jitter)
    delay_s = backoff.delay_s(n, lambda: drawn, previous * backoff.cap_s)
    assert backoff.shortest_s(n) <= delay_s <= backoff.cap_s * (1 + 1e-12)


@pytest.mark.parametrize("jitter", ["full", "equal", "decorrelated"])
def test_jitter_comes_after_the_cap(jitter: Jitter) -> None:
    """Clients that wait at the cap do not all come back at the same instant."""
    draw = random.Random(7).random
    backoff = replace(STEADY, jitter=jitter)
    delays_s = {round(backoff.delay_s(50, draw, 30.0), 6) for _ in range(1000)}
    assert len(delays_s) > 990
    assert max(delays_s) <= 30.0


def test_equal_jitter_draws_from_the_upper_half() -> None:
    """Restarts wait at least half of the ceiling."""
    backoff = replace(STEADY, jitter="equal")
    assert [backoff.delay_s(2, draw) for draw in (lowest, middle)] == [1.0, 1.5]


def test_full_jitter_draws_from_zero() -> None:
    """Calls may come back at once or at the ceiling."""
    backoff = replace(STEADY, jitter="full")
    assert [backoff.delay_s(2, draw) for draw in (lowest, middle)] == [0.0, 1.0]


def test_decorrelated_jitter_grows_from_the_delay_before() -> None:
    """It draws up to three times the delay before, starting from the base."""
    script = Script(
        Spec(id="cam", policy=RecoveryPolicy(backoff=replace(STEADY, jitter="decorrelated"))),
        chance=lambda: 0.5,
    )
    script.wants("cam")
    assert waits(script, 3) == [1.0, 1.75, 2.875]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"factor": 0.5}, "factor is 0.5"),
        ({"factor": 101.0}, "factor is 101.0"),
        ({"cap_s": 0.1}, "cap_s is 0.1"),
        ({"jitter": "some"}, "jitter is 'some'"),
    ],
)
def test_an_impossible_backoff_is_refused(wrong: dict[str, Any], told: str) -> None:
    """A schedule that can't be is refused at construction, with the field and its value."""
    with pytest.raises(ValueError, match=told):
        replace(STEADY, **wrong)


def test_attempts_are_forgiven_only_after_stable_for() -> None:
    """A proof alone keeps the attempt number; `stable_for` of proof sets it back to 0."""
    script = camera(STEADY)
    script.wants("cam")
    waits(script, 4)
    script.comes_up("cam")
    assert script.passes(59.9) == []
    assert script["cam"].attempts == 4
    assert script.passes(0.1) == ["cam: stable"]
    assert script["cam"].attempts == 0
    assert script["cam"].restarts_total == 4
    script.breaks("cam", REFUSED)
    assert script["cam"].delay_s == 0.5


def test_stable_for_counts_from_proof_and_not_from_start() -> None:
    """Time spent starting and verifying does not count as health."""
    script = camera(STEADY)
    script.wants("cam")
    waits(script, 1)
    script.started("cam")
    script.passes(14.0)
    script.proved("cam")
    script.passes(59.0)
    assert script["cam"].attempts == 1
    assert script.passes(1.0) == ["cam: stable"]


def test_a_source_that_dies_right_after_connecting_keeps_its_attempts() -> None:
    """A fault within `stable_for` of the proof goes on where the backoff stood."""
    script = camera(STEADY)
    script.wants("cam")
    waits(script, 3)
    script.comes_up("cam")
    script.passes(30.0)
    assert waits(script, 1) == [4.0]


def test_the_first_crash_after_stable_health_waits_for_nothing() -> None:
    """TRANSIENT: the restart begins in the instant in which the teardown is confirmed."""
    script = camera(STEADY)
    script.wants("cam")
    script.comes_up("cam")
    script.passes(600.0)
    script.take()
    assert script.breaks("cam", CRASHED) == ["cam: crash-once", "cam: gone"]
    assert script.take() == ["stop cam 1", "start cam 2"]
    assert script["cam"].attempts == 1


def test_the_second_crash_waits() -> None:
    """A crash before the first one is forgiven is a pattern, and backs off."""
    script = camera(STEADY)
    script.wants("cam")
    script.comes_up("cam")
    script.breaks("cam", CRASHED)
    script.comes_up("cam")
    assert script.breaks("cam", CRASHED) == ["cam: crash", "cam: gone"]
    assert script.phase("cam") is Phase.BACKING_OFF
    assert script["cam"].due_s == script.now_s + 1.0


def test_a_short_stable_for_does_not_make_crashes_accidents() -> None:
    """Within 60 s of any fault a crash is RECOVERABLE, even where `stable_for` forgave it."""
    script = Script(Spec(id="cam", policy=RecoveryPolicy(backoff=STEADY, stable_for_s=5.0)))
    script.wants("cam")
    script.comes_up("cam")
    script.breaks("cam", CRASHED)
    script.comes_up("cam")
    script.passes(10.0)
    assert script["cam"].attempts == 0
    assert script.fails("cam", CRASHED) == ["cam: crash"]


def test_network_faults_are_never_retried_at_once() -> None:
    """Even after a day of health the first network fault waits: all at once would hammer."""
    script = camera(STEADY)
    script.wants("cam")
    script.comes_up("cam")
    script.passes(86_400.0)
    assert waits(script, 1) == [0.5]


def test_the_wait_counts_from_the_fault_and_a_slow_teardown_uses_it_up() -> None:
    """A teardown that takes longer than the delay is followed by the start at once."""
    script = camera(STEADY)
    script.wants("cam")
    script.comes_up("cam")
    script.fails("cam", REFUSED)
    script.passes(1.0)
    script.take()
    assert script.gone("cam") == ["cam: gone"]
    assert script.take() == ["start cam 2"]


def test_a_manual_start_resets_the_backoff() -> None:
    """After an operator's stop and start the next wait is the base again."""
    script = camera(STEADY)
    script.wants("cam")
    waits(script, 5)
    script.wants("cam", up=False)
    script.gone("cam")
    script.wants("cam")
    assert waits(script, 1) == [0.5]
