"""What a stream counted goes on after a crash of the manager, as if there had been none."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from math import nan
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.unit.streams.simulated import POLICY, Lives, Simulation, settings_of

from stream_manager.recordings import find_gaps
from stream_manager.recovery import Budget, Phase, Reset
from stream_manager.store import Mark, Store
from stream_manager.streams import counters
from stream_manager.streams.processes import boot_id
from stream_manager.streams.views import stream_health, stream_status
from stream_manager.testing import FakeClock, settle

SLOW = replace(
    POLICY,
    backoff=replace(POLICY.backoff, base_s=30.0, cap_s=30.0),
    budget=Budget(restarts=5, within_s=600.0),
)


@pytest.fixture
def lives(tmp_path: Path) -> Lives:
    """Give a stream whose managers a test kills."""
    return Lives(tmp_path)


async def refused(it: Simulation) -> None:
    """Let the source be refused, and its teardown be confirmed."""
    await it.part_fails("connect", "ECONNREFUSED")
    await it.part_gone("source")


def test_attempts_wait_and_total_go_on_where_they_were(tmp_path: Path) -> None:
    """Of 30 s that it had to wait, 10 s before the kill and 5 s without manager are over."""
    lives = Lives(tmp_path, SLOW)

    async def script() -> None:
        async with lives.life() as it:
            await it.start()
            await it.flow(2.0)
            await refused(it)
            await lives.clock.advance(30.0)
            await refused(it)
            before = stream_status(it.stream, it.clock)
            assert (before["attempt"], before["restarts_total"]) == (2, 2)
            await lives.clock.advance(10.0)
        lives.clock.now_s += 5.0
        async with lives.life() as it:
            it.stream.want(up=True)
            await settle()
            assert it.phases()["cam"] is Phase.STARTING
            await it.worker_starts()
            status = stream_status(it.stream, it.clock)
            assert status["state"] == "backing_off"
            assert (status["attempt"], status["restarts_total"]) == (2, 2)
            assert status["next_attempt_in_s"] == pytest.approx(15.0)
            assert status["last_fault"]["code"] == "ECONNREFUSED"
            await lives.clock.advance(14.9)
            assert it.phases()["cam/source"] is Phase.BACKING_OFF
            await lives.clock.advance(0.2)
            assert it.phases()["cam/source"] is Phase.STARTING
            await refused(it)
            assert stream_status(it.stream, it.clock)["attempt"] == 3

    asyncio.run(script())


def test_a_budget_that_was_half_spent_is_spent_after_the_kill(tmp_path: Path) -> None:
    """Two of three charged crashes before it, and two after it: the worker has failed."""
    lives = Lives(tmp_path, replace(POLICY, budget=Budget(restarts=3, within_s=60.0)))

    async def crash(it: Simulation) -> None:
        await it.worker_dies(-11)
        await lives.clock.advance(9.0)

    async def script() -> None:
        async with lives.life() as it:
            it.stream.want(up=True)
            await settle()
            await crash(it)
            await crash(it)
            assert len(it.record().charged) == 2
        async with lives.life() as it:
            it.stream.want(up=True)
            await settle()
            await crash(it)
            assert it.phases()["cam"] is Phase.STARTING
            await crash(it)
            assert it.phases()["cam"] is Phase.FAILED
            assert it.record().ended_by == "budget-spent"

    asyncio.run(script())


def test_what_waited_in_an_incident_is_down_since_before(lives: Lives) -> None:
    """The next manager lets it wait again, and its outage goes on."""

    async def script() -> None:
        async with lives.life() as it:
            await it.start()
            await it.flow(2.0)
            await refused(it)
        with closing(Store.open(lives.folder, clock=lives.clock, on_fault=pytest.fail)) as store:
            saved = store.load_counters("cam/source")
            assert saved is not None
            saved["record"] |= {"phase": "parked", "held_by": "api:cameras"}
            store.save_counters("cam/source", saved)
        async with lives.life(replace(lives.settings, depends_on=("api:cameras",))) as it:
            it.stream.want(up=True)
            await settle()
            await it.worker_starts()
            status = stream_status(it.stream, it.clock)
            assert (status["state"], status["waits_for"]) == ("parked", "api:cameras")
            assert it.stream.history.outages.current is not None
            await lives.clock.advance(2.5)
            assert it.phases()["cam/source"] is Phase.STARTING

    asyncio.run(script())


async def fail_for_good(it: Simulation) -> None:
    """Let the camera refuse the password at the first start."""
    await it.start()
    await it.part_fails("rtspsrc", "gst-resource-error:15")
    await it.part_gone("source")
    assert it.phases()["cam/source"] is Phase.FAILED


def test_a_refused_password_is_not_tried_again(lives: Lives) -> None:
    """It has FAILED, through two crashes; a command tries it."""

    async def script() -> None:
        async with lives.life() as it:
            await fail_for_good(it)
        for _ in range(2):
            async with lives.life() as it:
                it.stream.want(up=True)
                await settle()
                await it.worker_starts()
                await lives.clock.advance(1000.0)
                assert it.phases()["cam/source"] is Phase.FAILED
                status = stream_status(it.stream, it.clock)
                assert (status["state"], status["health"]) == ("failed", "failed")
                assert status["next_attempt_in_s"] is None
                assert status["last_fault"]["cause"] == "auth"
        async with lives.life() as it:
            it.stream.want(up=True)
            await settle()
            await it.worker_starts()
            it.stream.post(Reset(id="cam"))
            await settle()
            assert it.phases()["cam/source"] is Phase.STARTING

    asyncio.run(script())


def test_another_configuration_starts_clean(lives: Lives) -> None:
    """A changed password is a changed digest: it is tried, and nothing is held against it."""

    async def script() -> None:
        async with lives.life() as it:
            await fail_for_good(it)
        async with lives.life(settings_of(digest="another password")) as it:
            it.stream.want(up=True)
            await settle()
            assert "configuration-changed" in {decision.rule for decision in it.decisions}
            assert it.stream.history.outages.current is None
            await it.worker_starts()
            assert it.phases()["cam/source"] is Phase.STARTING
            assert (it.record("source").last, it.record("source").attempts) == (None, 0)

    asyncio.run(script())


async def lose_a_worker(it: Simulation) -> None:
    """Let it flow, its worker crash, and the next one come up to where it is to prove itself."""
    await it.start()
    await it.flow(2.0)
    await it.worker_dies()
    await it.worker_starts()
    await it.source_starts()


def test_a_manager_that_stopped_in_good_order_begins_anew(lives: Lives) -> None:
    """The next one starts everything at once and forgives it; the total of restarts goes on."""

    async def script() -> None:
        async with lives.life() as it:
            await lose_a_worker(it)
            assert it.record().attempts == 1
            it.stream.want(up=False)
            await settle()
            await it.worker_dies(0)
            assert set(it.phases().values()) == {Phase.STOPPED}
        async with lives.life() as it:
            assert stream_status(it.stream, it.clock)["restarts_total"] == 1
            assert set(it.phases().values()) == {Phase.STOPPED}
            await it.start()
            assert (it.record().attempts, it.record().charged) == (0, ())
            assert it.record().epoch == 3
            assert it.index.told == ["started"]

    asyncio.run(script())


def test_after_an_orderly_restart_a_refused_password_is_tried_once(lives: Lives) -> None:
    """People restart the manager to make a new environment variable count, or to try again."""

    async def script() -> None:
        async with lives.life() as it:
            await fail_for_good(it)
            it.stream.want(up=False)
            await settle()
            await it.worker_dies(0)
        async with lives.life() as it:
            await it.start()
            assert it.phases()["cam/source"] is Phase.VERIFYING

    asyncio.run(script())


def test_what_flowed_starts_at_once(lives: Lives) -> None:
    """Its counters stay until it was stable again; nothing says that it is still down."""

    async def script() -> None:
        async with lives.life() as it:
            await lose_a_worker(it)
            await it.flow(2.0)
        async with lives.life() as it:
            await it.start()
            assert it.stream.history.outages.current is None
            assert it.index.told == ["started"]
            await it.flow(2.0)
            assert it.record().attempts == 1
            await it.flow(70.0)
            assert it.record().attempts == 0

    asyncio.run(script())


def test_what_waits_for_a_leftover_starts_only_when_it_is_wanted(lives: Lives) -> None:
    """A worker of the killed manager may still run: until it is gone nothing starts by itself."""

    async def script() -> None:
        async with lives.life() as it:
            await it.start()
            await it.worker_dies()
        async with lives.life() as it:
            await lives.clock.advance(10.0)
            assert stream_status(it.stream, it.clock)["restarts_total"] == 1
            assert set(it.phases().values()) == {Phase.STOPPED}
            it.stream.want(up=True)
            await settle()
            assert (it.phases()["cam"], it.record().epoch) == (Phase.STARTING, 2)

    asyncio.run(script())


def test_an_outage_that_lasts_over_the_kill_goes_on_as_another(lives: Lives) -> None:
    """The first ends with its last entry, the second begins when the stream is watched again."""

    async def script() -> None:
        async with lives.life() as it:
            await fail_for_good(it)
            assert it.stream.history.outages.current is not None
        lives.clock.now_s += 3600.0
        async with lives.life() as it:
            wanted_s = lives.clock.now_s
            it.stream.want(up=True)
            await settle()
            await it.worker_starts()
            outage = it.stream.history.outages.current
            assert outage is not None
            assert (outage.began_s, outage.cause, outage.attempts) == (wanted_s, "auth", 0)
            await lives.clock.advance(100.0)
            assert stream_status(it.stream, it.clock)["availability"] < 0.01
            assert it.stream.history.outages.total_s(lives.clock.now_s) < 200.0
            it.stream.post(Reset(id="cam"))
            await settle()
            await it.source_starts()
            await it.flow(2.0)
            (ended,) = it.ended
            assert ended.repaired
            assert stream_health(it.stream) is not None

    asyncio.run(script())


def test_gaps_tell_the_fault_that_lasts_and_not_a_start_that_nobody_made(lives: Lives) -> None:
    """Nobody attended the stream while no manager ran; since then the old fault is the cause."""

    async def script() -> None:
        async with lives.life() as it:
            await fail_for_good(it)
        async with lives.life() as it:
            it.stream.want(up=True)
            await settle()
            assert it.index.told[0] == "started"
            (failed,) = it.index.told[1:]
            _, day, time, cause, code = failed.split()
            at = datetime.fromisoformat(f"{day} {time}")
            assert (cause, code) == ("auth", "gst-resource-error:15")
        started = Mark(stream="cam", at=lives.clock.wall(), cause="starting")
        fault = Mark(stream="cam", at=at, cause=cause, code=code)
        (gap,) = find_gaps("cam", [], [started, fault])
        assert (gap.began_at, gap.ended_at, gap.cause) == (started.at, None, "auth")

    asyncio.run(script())


def test_a_recorder_that_lasts_to_be_down_is_no_outage(tmp_path: Path) -> None:
    """The stream itself flows: only the recording has a gap with the recorder's fault."""
    lives = Lives(tmp_path, SLOW)

    async def script() -> None:
        async with lives.life() as it:
            await it.start()
            await it.flow(2.0)
            await it.part_fails("filesink", "gst-resource-error:14", part="record")
            await it.part_gone("record")
            assert it.phases()["cam/record"] is Phase.BACKING_OFF
        async with lives.life() as it:
            it.stream.want(up=True)
            await settle()
            assert it.stream.history.outages.current is None
            assert "storage" in it.index.told[-1]

    asyncio.run(script())


def row(payload: object) -> tuple[str, str]:
    """Give a row's text, and the sum that vouches for it."""
    text = json.dumps(payload)
    return text, sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("payload", "vouched"),
    [
        ('{"record":{}}', ""),
        row({}),
        row([]),
        *(
            row({"boot_id": "another", "monotonic_s": odd, "at": "2026-01-01T00:00:00+00:00"})
            for odd in (nan, 10**400, "7")
        ),
        *(
            row({"boot_id": boot_id(), "monotonic_s": 7.0, "at": "", "record": odd})
            for odd in (None, "{}", 7)
        ),
    ],
)
def test_counters_that_can_not_be_read_are_let_go(lives: Lives, payload: str, vouched: str) -> None:
    """A damaged row, and a sound one that this program can't have written, cost one line each."""

    async def script() -> None:
        async with lives.life() as it:
            await fail_for_good(it)
        with closing(sqlite3.connect(lives.folder / "manager.db")) as database, database:
            database.execute("UPDATE counters SET payload = ?, sha256 = ?", (payload, vouched))
        with capture_logs() as lines:
            async with lives.life() as it:
                await it.start()
                assert it.phases()["cam/source"] is Phase.VERIFYING
        told = [line["component"] for line in lines if line["log_level"] == "warning"]
        assert told == ["cam", "cam/source", "cam/record"]

    asyncio.run(script())


def test_after_another_boot_the_wall_clock_tells_how_long_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The monotonic clock has begun anew, and a minute has passed: 30 s of 90 are left."""
    lives = Lives(tmp_path, replace(SLOW, backoff=replace(SLOW.backoff, base_s=90.0, cap_s=90.0)))

    async def script() -> None:
        async with lives.life() as it:
            await it.start()
            await it.flow(2.0)
            await refused(it)
            waited_from = it.clock.wall()
        monkeypatch.setattr(counters, "boot_id", lambda: "another boot")
        clock = lives.clock = FakeClock(now_s=7.0)
        monkeypatch.setattr(
            clock, "wall", lambda: waited_from + timedelta(seconds=53.0 + clock.now_s)
        )
        async with lives.life() as it:
            it.stream.want(up=True)
            await settle()
            source = it.record("source")
            assert source.phase is Phase.BACKING_OFF
            assert source.due_s == pytest.approx(7.0 + 30.0)

    asyncio.run(script())
