"""Which faults are incidents: an outage is one, and the failing of an output, each by number."""

from pathlib import Path

from tests.unit.streams.simulated import Simulation, simulated

from stream_manager.evidence import Examination, Finding
from stream_manager.pipelines.messages import Graph
from stream_manager.recovery import Failed, Fault
from stream_manager.testing import settle


def found(it: Simulation) -> list[Finding]:
    """Return what was handed on, all that is unsettled included."""
    it.stream.casebook.close()
    return it.evidence.kept


def test_an_outage_is_one_incident_however_often_a_retry_fails(tmp_path: Path) -> None:
    """Its number is that of the first fault's entry; the same fault again is no news."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        for _ in range(3):
            await it.part_fails("connect", "ECONNREFUSED")
            await it.part_gone()
            await it.clock.advance(5.0)
            await it.source_starts()
        await it.part_fails("rtspsrc", "gst-resource-error:3")
        first, second = found(it)
        entries = [it.seq for it in it.decisions if it.after.last is not it.before.last]
        assert (first.kept.number, first.kept.seq) == (entries[0], entries[0])
        assert (second.kept.number, second.kept.seq) == (entries[0], entries[3])
        assert (first.kept.cause, first.kept.component) == ("network", "cam/source")
        assert it.stream.casebook.number == entries[0]

    simulated(tmp_path, script)


def test_the_next_outage_is_the_next_incident(tmp_path: Path) -> None:
    """Media that is proven ends an incident."""

    async def script(it: Simulation) -> None:
        await it.start()
        for _ in range(2):
            await it.flow(2.0)
            await it.worker_dies(-11)
            await it.clock.advance(5.0)
            await it.worker_starts()
            await it.source_starts()
        first, second = found(it)
        assert first.kept.number < second.kept.number == second.kept.seq
        assert first.kept.code == "SIGSEGV"

    simulated(tmp_path, script)


def test_an_outputs_failing_is_an_incident_of_its_own(tmp_path: Path) -> None:
    """It does not end with an outage of the stream, nor begin with one."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        await it.part_fails("fdsink", "ENOSPC", part="record")
        await it.part_fails("connect", "ECONNREFUSED")
        numbers = {finding.kept.component: finding.kept.number for finding in found(it)}
        assert set(numbers) == {"cam/record", "cam/source"}
        assert numbers["cam/record"] < numbers["cam/source"]

    simulated(tmp_path, script)


def test_a_finding_is_of_the_process_that_it_happened_in(tmp_path: Path) -> None:
    """What becomes known of that one later is filled in; nothing of its successor is."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.flow(2.0)
        it.stream.casebook.born(42, it.record().epoch)
        it.stream.hear(Graph(part="source", epoch=1, dot=b"before"))
        await it.part_fails("connect", "ECONNREFUSED")
        it.stream.hear(Graph(part="source", epoch=2, dot=b"after"))
        seen = Examination(threads="t", stacks="s")
        it.stream.casebook.examined(1, seen)
        it.stream.casebook.born(43, 2)
        it.stream.casebook.ended(1, "it ended with exit code 3")
        it.stream.casebook.ended(2, "so did its successor")
        it.stream.casebook.examined(2, Examination(threads="", stacks=""))
        (finding,) = found(it)
        assert (finding.kept.pid, finding.kept.epoch) == (42, 1)
        assert finding.kept.exit == "it ended with exit code 3"
        assert finding.examination == seen
        assert finding.graphs == {"source": b"before"}

    simulated(tmp_path, script)


def test_a_process_that_never_was_has_no_evidence_of_another(tmp_path: Path) -> None:
    """Where a start brought no process, there is neither a pid nor a graph."""

    async def script(it: Simulation) -> None:
        await it.start()
        it.stream.casebook.born(42, it.record().epoch - 1)
        await it.worker_dies(1)
        (finding,) = found(it)
        assert (finding.kept.pid, finding.kept.epoch) == (None, it.record().epoch)
        assert finding.graphs == {}
        assert finding.server_log is None

    simulated(tmp_path, script)


def test_the_fork_servers_own_log_belongs_to_its_failure(tmp_path: Path) -> None:
    """Where it makes no worker, what it wrote itself is all that can tell why."""

    async def script(it: Simulation) -> None:
        await it.start()
        lost = Fault(origin="forkserver", code="lost", text="it ended at once")
        it.stream.post(Failed(id="cam", epoch=it.record().epoch, fault=lost))
        await settle()
        (finding,) = found(it)
        assert finding.server_log == finding.log_path.with_name("forkserver.log")

    simulated(tmp_path, script)


def test_what_a_command_ends_begins_anew(tmp_path: Path) -> None:
    """A stop ends an incident; what fails after the next start is another one."""

    async def script(it: Simulation) -> None:
        await it.start()
        await it.part_fails("connect", "ECONNREFUSED")
        await it.part_gone()
        it.stream.want(up=False)
        await it.worker_dies(0)
        await it.start()
        await it.part_fails("connect", "ECONNREFUSED")
        first, second = found(it)
        assert first.kept.number != second.kept.number

    simulated(tmp_path, script)
