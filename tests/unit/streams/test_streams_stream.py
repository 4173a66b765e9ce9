"""One stream: what its worker says becomes events, verdicts, outages and a status."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from tests.unit.streams.simulated import AUDIO, POLICY, VIDEO, Simulation, simulated

from stream_manager.api.models import Status
from stream_manager.health import BORNE_FOR_S
from stream_manager.pipelines.spec import RtspSource
from stream_manager.pipelines.vitals import Vitals
from stream_manager.recovery import Phase, Reset, Restart
from stream_manager.streams.views import stream_health, stream_status
from stream_manager.testing import settle


def health(simulation: Simulation) -> str | None:
    """Return the stream's health in a word."""
    found = stream_health(simulation.stream)
    return None if found is None else found.value


def test_media_alone_makes_a_stream_healthy(tmp_path: Path) -> None:
    """Neither a process nor a built pipeline counts: only media that advanced long enough."""

    async def script(it: Simulation) -> None:
        await it.start()
        assert health(it) == "unhealthy"
        await it.flow(0.8)
        assert health(it) == "unhealthy"
        await it.flow(0.6)
        assert health(it) == "healthy"
        assert set(it.phases().values()) == {Phase.RUNNING}

    simulated(tmp_path, script)


@pytest.mark.parametrize(("transport", "code"), [("tcp", "undecodable"), ("udp", "stall")])
def test_a_camera_that_sends_garbage_is_told_from_a_silent_one(
    tmp_path: Path, transport: Literal["tcp", "udp"], code: str
) -> None:
    """Packets come, and no picture: the camera's doing, unless the network may have lost some."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(5.0)
        it.garbage = True
        await it.freeze(0.8)
        last = it.record("source").last
        assert last is not None
        assert last.fault.code == code
        assert ("packets of it arrived" in last.fault.text) is (code == "undecodable")

    camera = RtspSource(url="rtsp://camera/1", transport=transport)
    simulated(tmp_path, script, source=camera)


def test_a_frozen_source_is_rebuilt_in_its_worker(tmp_path: Path) -> None:
    """A stall costs the source its epoch and the worker nothing."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(5.0)
        await it.freeze(0.8)
        source = it.record("source")
        assert source.last is not None
        assert (source.last.fault.code, source.last.rule.name) == ("stall", "stall")
        assert source.epoch == 1
        await it.clock.advance(1.1)
        assert it.record("source").epoch == 2
        assert it.record().epoch == 1
        await it.source_starts()
        await it.flow(1.4)
        assert health(it) == "healthy"

    simulated(tmp_path, script)


def test_an_outage_lasts_from_the_last_good_media_to_the_first_of_the_verified_run(
    tmp_path: Path,
) -> None:
    """Neither the moment of detection nor that of the proof is its end."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(5.0)
        last_good_s = it.clock.now_s
        await it.clock.advance(0.05)
        await it.worker_dies()
        outage = it.stream.history.outages.current
        assert outage is not None
        assert (outage.began_s, outage.cause, outage.code) == (last_good_s, "crash", "SIGKILL")
        await it.worker_starts()
        await it.source_starts()
        await it.flow(0.2)
        first_again_s = it.clock.now_s
        await it.flow(1.4)
        (ended,) = it.ended
        assert ended.ended_s == first_again_s
        assert ended.attempts == 1
        assert it.stream.history.outages.mttr_s == first_again_s - last_good_s

    simulated(tmp_path, script)


def test_a_first_start_that_fails_is_an_outage_since_it_was_wanted(tmp_path: Path) -> None:
    """A camera that is down when the manager starts is not up until it was first seen."""

    async def script(it: Simulation) -> None:
        wanted_s = it.clock.now_s
        await it.start()
        await it.clock.advance(0.5)
        await it.part_fails("connect", "ECONNREFUSED")
        outage = it.stream.history.outages.current
        assert outage is not None
        assert (outage.began_s, outage.cause) == (wanted_s, "network")

    simulated(tmp_path, script)


def test_what_an_operator_does_is_no_outage(tmp_path: Path) -> None:
    """A stop and a restart begin none, and a stop ends one that lasts."""

    async def script(it: Simulation) -> None:
        def lasts() -> bool:
            return it.stream.history.outages.current is not None

        await it.start()
        await it.flow(5.0)
        await it.worker_dies()
        assert lasts()
        await it.worker_starts()
        await it.source_starts()
        await it.flow(2.0)
        it.stream.post(Restart(id="cam"))
        await settle()
        assert not lasts()
        await it.worker_dies(0)
        await it.worker_starts()
        await it.part_fails("connect", "ECONNREFUSED")
        assert lasts()
        it.stream.want(up=False)
        await settle()
        assert not lasts()
        assert health(it) is None

    simulated(tmp_path, script)


def test_a_stopped_stream_has_no_part_that_waits(tmp_path: Path) -> None:
    """All its components are stopped, so that they can be removed, and started again."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        it.stream.want(up=False)
        await settle()
        await it.worker_dies(0)
        assert set(it.phases().values()) == {Phase.STOPPED}
        it.stream.want(up=True)
        await settle()
        await it.worker_starts()
        await it.source_starts()
        await it.flow(2.0)
        assert health(it) == "healthy"
        it.stream.want(up=False)
        await settle()
        await it.worker_dies(0)
        it.stream.leave()
        assert not it.supervisor.recovery.records

    simulated(tmp_path, script)


def test_a_missing_track_costs_one_rebuild_and_is_then_accepted(tmp_path: Path) -> None:
    """The picture is not restarted over and over for a sound that will not come."""

    async def script(it: Simulation) -> None:
        await it.start(VIDEO, AUDIO)
        await it.flow(5.0, "video", "audio")
        assert health(it) == "healthy"
        await it.flow(5.0, "video", silent=["audio"])
        assert health(it) == "degraded"
        await it.flow(BORNE_FOR_S, "video", silent=["audio"])
        assert it.record("source").phase is not Phase.RUNNING
        await it.clock.advance(2.0)
        await it.source_starts(VIDEO, AUDIO)
        await it.flow(5.0, "video", silent=["audio"])
        assert health(it) == "degraded"
        await it.flow(BORNE_FOR_S + 30.0, "video", silent=["audio"])
        assert health(it) == "healthy"
        assert it.record("source").epoch == 2

    simulated(tmp_path, script)


def test_a_track_that_fails_soon_after_every_start_is_accepted_too(tmp_path: Path) -> None:
    """Sound that comes back with each rebuild and goes again must not restart the picture."""

    async def script(it: Simulation) -> None:
        await it.start(VIDEO, AUDIO)
        await it.flow(5.0, "video", "audio")
        await it.flow(BORNE_FOR_S + 2.0, "video", silent=["audio"])
        await it.clock.advance(2.0)
        await it.source_starts(VIDEO, AUDIO)
        await it.flow(5.0, "video", "audio")
        assert health(it) == "healthy"
        await it.flow(100.0, "video", silent=["audio"])
        assert it.record("source").epoch == 2
        assert health(it) == "healthy"

    simulated(tmp_path, script)


def test_an_output_that_takes_nothing_is_rebuilt_alone(tmp_path: Path) -> None:
    """Its source goes on, in the same epoch."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        await it.part_fails("filesink", "gst-resource-error:14", part="record")
        assert health(it) == "degraded"
        assert it.record("source").phase is Phase.RUNNING
        assert it.record("source").epoch == 1
        status = stream_status(it.stream, it.clock)
        assert status["state"] == "running"
        (output,) = status["outputs"]
        assert output["health"] == "unhealthy"
        assert output["last_fault"]["cause"] == "storage"

    simulated(tmp_path, script)


def test_a_silent_worker_is_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence counts by the manager's clock, less what the manager itself was late."""

    async def script(it: Simulation) -> None:
        found: list[str] = []
        monkeypatch.setattr(it.stream.worker, "hung", found.append)
        await it.start()
        it.stream.worker.heard_s = it.clock.now_s
        await it.clock.advance(1.4)
        it.stream.look(lag_s=0.0)
        await it.clock.advance(1.0)
        it.stream.look(lag_s=1.5)
        assert found == []
        it.stream.look(lag_s=0.0)
        assert found == ["the worker has said nothing for 2.4 s"]

    simulated(tmp_path, script)


def show_life(monkeypatch: pytest.MonkeyPatch, at_s: float, last_media_s: float) -> None:
    """Have every worker's shared memory say this."""

    def look(vitals: Vitals) -> None:
        vitals.at_s, vitals.last_media_s = at_s, last_media_s

    monkeypatch.setattr(Vitals, "look", look)


def test_a_worker_that_lives_and_says_nothing_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signs of life count as much as its words, and stand still when it does."""

    async def script(it: Simulation) -> None:
        found: list[str] = []
        monkeypatch.setattr(it.stream.worker, "hung", found.append)
        await it.start()
        it.stream.worker.heard_s = it.clock.now_s
        await it.clock.advance(5.0)
        show_life(monkeypatch, it.clock.now_s - 0.2, 0.0)
        it.stream.look(lag_s=0.0)
        assert found == []
        await it.clock.advance(1.4)
        it.stream.look(lag_s=0.0)
        assert found == ["the worker has said nothing for 1.6 s"]

    simulated(tmp_path, script)


def test_an_outage_begins_with_the_last_picture_that_a_dead_worker_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it saw after its last report is known from the memory that it left."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(3.0)
        await it.clock.advance(0.9)
        last_s = it.clock.now_s - 0.1
        show_life(monkeypatch, it.clock.now_s, last_s)
        await it.worker_dies()
        outage = it.stream.history.outages.current
        assert outage is not None
        assert outage.began_s == last_s

    simulated(tmp_path, script)


def test_a_stall_behind_a_blocked_element_is_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the worker's and not the camera's; while media flows, an element may be busy."""

    async def script(it: Simulation) -> None:
        found: list[str] = []
        monkeypatch.setattr(it.stream.worker, "hung", found.append)
        await it.start()
        it.blocked = "identity (slow)"
        await it.flow(2.0)
        assert found == []
        await it.freeze(1.0)
        assert found[0].startswith("identity (slow) does not let go of a buffer: no video for ")
        assert it.record("source").last is None

    simulated(tmp_path, script)


def test_a_worker_whose_part_hangs_is_past_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a teardown hangs the process is looked at; what else fails may end in good order."""

    async def script(it: Simulation) -> None:
        condemned: list[int] = []
        worker = it.stream.worker
        monkeypatch.setattr(worker, "send", lambda _: True)
        monkeypatch.setattr(worker, "condemn", lambda: condemned.append(it.record().epoch))
        await it.start()
        await it.flow(2.0)
        await it.worker_dies()
        await it.worker_starts()
        await it.source_starts()
        assert condemned == []
        await it.part_fails("rtspsrc", "gst-resource-error:9")
        await it.clock.advance(2 * POLICY.teardown_s)
        assert condemned == [2]

    simulated(tmp_path, script)


def test_an_output_that_stalls_is_looked_into_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its threads wait for is kept; the next stall of the same outage is no news."""

    async def script(it: Simulation) -> None:
        looks: list[int] = []
        monkeypatch.setattr(it.stream.worker, "examine", lambda: looks.append(1))
        await it.start()
        await it.flow(2.0)
        await it.part_fails("rtspsrc", "gst-resource-error:9")
        await it.part_gone()
        await it.clock.advance(5.0)
        await it.source_starts()
        assert looks == []
        for _ in range(2):
            await it.flow(2.0)
            await it.part_fails("health", "stall", part="record")
        assert looks == [1]

    simulated(tmp_path, script)


def test_attempts_return_to_zero_only_after_stability(tmp_path: Path) -> None:
    """Health for less than stable_for forgives nothing."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        await it.worker_dies()
        await it.worker_starts()
        await it.source_starts()
        await it.flow(50.0)
        assert stream_status(it.stream, it.clock)["attempt"] == 1
        await it.flow(15.0)
        status = stream_status(it.stream, it.clock)
        assert status["attempt"] == 0
        assert status["restarts_total"] == 1

    simulated(tmp_path, script)


def test_the_status_keeps_its_contract(tmp_path: Path) -> None:
    """Field by field, with enums in lower case, instants in UTC and durations in seconds."""

    async def script(it: Simulation) -> None:
        await it.start(VIDEO, AUDIO)
        await it.flow(10.0, "video", "audio")
        status = stream_status(it.stream, it.clock)
        assert status == {
            "id": "cam",
            "state": "running",
            "health": "healthy",
            "pid": None,
            "abandoned": [],
            "epoch": 1,
            "restarts_total": 0,
            "attempt": 0,
            "next_attempt_in_s": None,
            "waits_for": None,
            "last_fault": None,
            "uptime_s": status["uptime_s"],
            "availability": 1.0,
            "outage_s_total": 0.0,
            "mttr_s": None,
            "media": {
                "frames": 250,
                "bytes": 500_000,
                "last_at": "2026-01-31T12:00:10.000Z",
                "fps": 25.0,
                "bitrate_bps": 400_000,
                "tracks": [
                    {"name": "video", "kind": "video", "codec": "H264"},
                    {"name": "audio", "kind": "audio", "codec": "AAC"},
                ],
            },
            "usage": None,
            "outputs": [
                {
                    "id": "record",
                    "kind": "record",
                    "pid": status["pid"],
                    "state": "running",
                    "health": "healthy",
                    "epoch": 1,
                    "attempt": 0,
                    "next_attempt_in_s": None,
                    "waits_for": None,
                    "last_fault": None,
                    "bytes": 500_000,
                    "segment": "/recordings/cam/one.ts",
                    "last_write_at": "2026-01-31T12:00:10.000Z",
                }
            ],
        }
        assert 8.0 < status["uptime_s"] < 9.5
        Status.model_validate(
            {
                "manager": {"pid": 1, "uptime_s": 0.0, "version": "0"},
                "streams": [status],
                "domains": [],
                "pressure": {},
            }
        )

    simulated(tmp_path, script)


def test_the_status_of_a_waiting_stream_tells_what_comes_next(tmp_path: Path) -> None:
    """Its fault with cause and class, and the seconds to the next attempt."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.clock.advance(2.0)
        await it.part_fails("connect", "ECONNREFUSED")
        await it.clock.advance(0.25)
        status = stream_status(it.stream, it.clock)
        assert status["state"] == "backing_off"
        assert status["health"] == "unhealthy"
        assert status["attempt"] == 1
        assert status["next_attempt_in_s"] == 0.75
        assert status["last_fault"] == {
            "at": "2026-01-31T12:00:02.000Z",
            "cause": "network",
            "class": "recoverable",
            "code": "ECONNREFUSED",
            "message": "ECONNREFUSED",
        }
        assert status["uptime_s"] is None
        assert status["availability"] == 0.0
        assert status["outage_s_total"] == 2.25
        assert status["media"]["fps"] == 0.0

    simulated(tmp_path, script)


def test_a_stopped_stream_shows_no_health(tmp_path: Path) -> None:
    """Neither it nor its output is sick: nobody wants them."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        it.stream.want(up=False)
        await settle()
        await it.worker_dies(0)
        status = stream_status(it.stream, it.clock)
        assert (status["state"], status["health"]) == ("stopped", None)
        (output,) = status["outputs"]
        assert (output["state"], output["health"]) == ("stopped", None)
        assert status["next_attempt_in_s"] is None

    simulated(tmp_path, script)


def test_giving_up_is_shown_and_reset_re_arms(tmp_path: Path) -> None:
    """FAILED names its fault and its next probe, and a reset tries at once."""

    async def script(it: Simulation) -> None:
        await it.start()
        for _ in range(3):
            await it.part_fails("connect", "ECONNREFUSED")
            await it.clock.advance(10.0)
        status = stream_status(it.stream, it.clock)
        assert (status["state"], status["health"]) == ("failed", "failed")
        assert 0 < status["next_attempt_in_s"] <= POLICY.probe_every_s
        it.stream.post(Reset(id="cam"))
        await settle()
        assert it.record("source").phase is Phase.STARTING
        assert stream_status(it.stream, it.clock)["attempt"] == 0

    simulated(tmp_path, script, replace(POLICY, give_up_after_attempts=2))


def test_a_camera_that_sends_no_keyframe_is_connected_anew(tmp_path: Path) -> None:
    """The cause is its media, not a stall, and a new session usually begins with a keyframe."""

    async def script(it: Simulation) -> None:
        it.keyframes = False
        await it.start()
        await it.flow(11.0)
        assert health(it) == "unhealthy"
        assert it.record("source").last is None
        await it.flow(2.0)
        last = it.record("source").last
        assert last is not None
        assert (last.rule.cause.value, last.fault.code) == ("media", "no-keyframe")
        it.keyframes = True
        await it.clock.advance(1.1)
        await it.source_starts()
        await it.flow(2.0)
        assert health(it) == "healthy"

    simulated(tmp_path, script)


def test_a_start_that_was_slow_is_left_less_time_for_its_first_keyframe(tmp_path: Path) -> None:
    """Its deadline would else end it first, and tell of a stall."""

    async def script(it: Simulation) -> None:
        it.keyframes = False
        await it.start()
        await it.freeze(8.0)
        await it.flow(5.0)
        assert it.record("source").last is None
        await it.flow(1.0)
        last = it.record("source").last
        assert last is not None
        assert (last.rule.cause.value, last.fault.code) == ("media", "no-keyframe")

    simulated(tmp_path, script)


def test_the_index_hears_why_nothing_is_recorded(tmp_path: Path) -> None:
    """A fault with its cause and, once it has ended, its outage; a stop with who wanted it."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        await it.part_fails("rtspsrc", "gst-resource-error:9")
        it.stream.want(up=False, by="configuration")
        await settle()
        told = [line.split() for line in it.index.told]
        assert [line[0] for line in told] == ["started", "failed", "repaired", "stopped"]
        assert told[1][-2:] == ["network", "gst-resource-error:9"]
        assert told[3] == ["stopped", "configuration"]

    simulated(tmp_path, script)


def test_an_outage_is_explained_by_what_the_camera_answers(tmp_path: Path) -> None:
    """It ended the session for its new password: the refusal tells more than the broken line.

    What follows before media comes again is the same outage, and one mark in the index.
    """

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        for code in ("gst-resource-error:9", "gst-resource-error:15", "gst-resource-error:9"):
            await it.part_fails("rtspsrc", code)
            await it.clock.advance(20.0)
        outage = it.stream.history.outages.current
        assert outage is not None
        assert (outage.cause, outage.code) == ("auth", "gst-resource-error:15")
        assert outage.attempts >= 2
        failed = [line.split() for line in it.index.told if line.startswith("failed")]
        assert [line[-2] for line in failed] == ["network", "auth"]
        assert failed[0][1:3] == failed[1][1:3]

    simulated(tmp_path, script)
