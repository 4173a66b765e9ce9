"""Which faults of a stream are an incident, and what is handed on of them to be kept.

An incident begins with the fault that ends a run and lasts until that part runs again: one outage
of the stream, or one failing of an output. Its number is that of the journal's entry about that
fault. What fails meanwhile by another cause belongs to it too; the same again is no news.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stream_manager.clock import Clock, wall_of
from stream_manager.evidence import Examination, Finding, Kept
from stream_manager.pipelines.messages import Graph, Spawn
from stream_manager.recovery import Decision, Fault, Phase
from stream_manager.streams.logs import FORK_SERVER

# A process that hangs has been looked at and ended by then, and its log holds its last words.
SETTLED_AFTER_S = 1.0
FINDINGS_AT_MOST = 5


@dataclass(slots=True, kw_only=True)
class _Run:
    """A worker process; what becomes known of it later is filled in."""

    epoch: int
    pid: int | None = None
    graphs: dict[str, bytes] = field(default_factory=dict)
    exit: str | None = None
    examination: Examination | None = None


@dataclass(slots=True, kw_only=True)
class _Incident:
    number: int
    faults: list[Fault]


class Casebook:
    """The incidents of one stream, or of an output of its own process.

    order: what these processes are spawned by, its `stream` the component that they are.

    number: of the newest incident, None before there was any.
    """

    def __init__(self, order: Spawn, *, keep: Callable[[Finding], None], clock: Clock) -> None:
        self._order = order
        self._stream = order.stream.partition("/")[0]
        self._keep = keep
        self._clock = clock
        self._run = self._former = _Run(epoch=0)
        self._open: dict[str, _Incident] = {}
        self._unsettled: dict[int, Callable[[], None]] = {}
        self.number: int | None = None

    def born(self, pid: int, epoch: int) -> None:
        """Note a new process."""
        self._former, self._run = self._run, _Run(epoch=epoch, pid=pid)

    def drew(self, graph: Graph) -> None:
        """Note what a part of it looks like."""
        self._run.graphs[graph.part] = graph.dot

    def examined(self, epoch: int, examination: Examination) -> None:
        """Note what was seen of a process that hung."""
        for run in self._of(epoch):
            run.examination = examination

    def ended(self, epoch: int, how: str) -> None:
        """Note how a process ended, in words."""
        for run in self._of(epoch):
            run.exit = how

    def decided(self, decision: Decision) -> bool:
        """Follow a decision about a component of the stream; tell whether it is a new finding."""
        before, after = decision.before, decision.after
        part = after.spec.id.removeprefix(self._stream).removeprefix("/")
        scope = "stream" if part in {"", "source"} else part
        runs = before.phase is not after.phase is Phase.RUNNING and part != ""
        if runs or not after.wanted:
            self._open.pop(scope, None)
        sighting = after.last
        if sighting is None or sighting is before.last:
            return False
        incident = self._open.setdefault(scope, _Incident(number=decision.seq, faults=[]))
        known = any(sighting.fault.same_as(fault) for fault in incident.faults)
        if known or len(incident.faults) == FINDINGS_AT_MOST:
            return False
        incident.faults.append(sighting.fault)
        self.number = incident.number
        self._find(decision, incident.number)
        return True

    def close(self) -> None:
        """Hand on what has not settled."""
        for hand_on in list(self._unsettled.values()):
            hand_on()

    def _of(self, epoch: int) -> list[_Run]:
        """Return the newest process or the one before it, whose end may be told after its birth."""
        return [run for run in (self._run, self._former) if run.epoch == epoch]

    def _find(self, decision: Decision, number: int) -> None:
        after, run = decision.after, self._run
        if after.spec.id == self._order.stream and after.epoch != run.epoch:
            run = _Run(epoch=after.epoch)  # no process came of that start
        graphs = dict(run.graphs)

        def hand_on() -> None:
            timer.cancel()
            if self._unsettled.pop(decision.seq, None) is not None:
                self._keep(self._finding(decision, number, run, graphs))

        self._unsettled[decision.seq] = hand_on
        timer = asyncio.get_running_loop().call_later(SETTLED_AFTER_S, hand_on)

    def _finding(
        self, decision: Decision, number: int, run: _Run, graphs: dict[str, bytes]
    ) -> Finding:
        sighting = decision.after.last
        assert sighting is not None
        kept = Kept(
            number=number,
            seq=decision.seq,
            at=wall_of(decision.at_s, self._clock),
            stream=self._stream,
            component=decision.after.spec.id,
            rule=decision.rule,
            cause=sighting.rule.cause.value,
            fault_class=sighting.rule.fault_class.value,
            code=sighting.fault.code,
            text=sighting.fault.text,
            epoch=run.epoch,
            pid=run.pid,
            exit=run.exit,
        )
        log_path = Path(self._order.log_path)
        of_server = sighting.fault.origin == "forkserver"
        examination, run.examination = run.examination, None  # of this moment, not of the next
        return Finding(
            kept=kept,
            log_path=log_path,
            secrets=self._order.secrets,
            graphs=graphs,
            examination=examination,
            server_log=log_path.with_name(f"{FORK_SERVER}.log") if of_server else None,
        )
