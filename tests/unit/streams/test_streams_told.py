"""What is told of decisions: one journal entry each, and a log line where it is news."""

from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs
from tests.unit.streams.simulated import Simulation, simulated

from stream_manager.clock import wall_of
from stream_manager.recovery import Restart
from stream_manager.store import Entry
from stream_manager.streams.entries import entry
from stream_manager.streams.report import report
from stream_manager.testing import settle


def entries(simulation: Simulation) -> list[Entry]:
    """Return what the journal gets of all that was decided."""
    clock = simulation.clock
    return [entry(it, clock=clock, local=lambda at_s: f"{at_s:g}") for it in simulation.decisions]


def logged(simulation: Simulation) -> list[tuple[str, str]]:
    """Return level and component of each line that the log gets."""
    with capture_logs() as lines:
        for decision in simulation.decisions:
            report(decision, None, wall=lambda at_s: f"{at_s:g}")
    return [
        (line["log_level"], "/".join(filter(None, (line["stream"], line.get("part")))))
        for line in lines
    ]


def test_an_entry_says_what_was_decided_why_and_what_comes_next(tmp_path: Path) -> None:
    """The fault stands in the entry of the decision about it, and in no later one."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.clock.advance(1.0)
        failed_s = it.clock.now_s
        await it.part_fails("connect", "ECONNREFUSED")
        (fault,) = [one for one in entries(it) if one.code]
        assert (fault.stream, fault.component, fault.epoch) == ("cam", "cam/source", 1)
        assert (fault.cause, fault.fault_class) == ("network", "recoverable")
        assert (fault.event, fault.rule) == ("failed", "network-errno")
        assert (fault.before, fault.after) == ("verifying", "tearing_down")
        assert fault.actions == ("stop",)
        assert fault.attempt == 1
        assert fault.at == wall_of(failed_s, it.clock)
        assert fault.next_attempt_at == fault.at + timedelta(seconds=1)
        assert fault.saw["delay_s"] == 1.0
        assert fault.saw["text"] == "ECONNREFUSED"
        assert fault.message
        later = [one for one in entries(it) if one.seq > fault.seq]
        waiting = [one for one in later if one.after == "backing_off"]
        assert [one.next_attempt_at for one in waiting] == [fault.next_attempt_at]
        assert {one.because for one in later} >= {fault.seq}

    simulated(tmp_path, script)


def test_the_log_tells_each_fact_once(tmp_path: Path) -> None:
    """A start, a proof, a crash and its recovery: what was taken along says nothing."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        assert logged(it) == [("info", "cam"), ("info", "cam/source"), ("info", "cam/record")]
        it.decisions.clear()
        await it.worker_dies()
        assert logged(it) == [("warning", "cam")]
        await it.worker_starts()
        await it.source_starts()
        await it.flow(2.0)
        assert logged(it)[1:] == [("info", "cam/source"), ("info", "cam/record")]
        it.decisions.clear()
        it.stream.post(Restart(id="cam"))
        await settle()
        assert logged(it) == [("info", "cam")]

    simulated(tmp_path, script)


def test_an_end_without_another_attempt_is_an_error(tmp_path: Path) -> None:
    """A wrong password asks for a person."""

    async def script(it: Simulation) -> None:
        await it.start()
        it.decisions.clear()
        await it.part_fails("rtspsrc", "gst-resource-error:15")
        assert logged(it) == [("error", "cam/source")]

    simulated(tmp_path, script)
