"""The thread that owns a camera's process: does what is due, and writes the record."""

import itertools
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from stream_manager.errors import OutsideError, UsageError
from stream_manager.lab.agenda import Agenda, Begin, End
from stream_manager.lab.audience import Audience
from stream_manager.lab.board import Board
from stream_manager.lab.camera_faults import (
    CAMERA_FAULTS,
    ENCODED,
    PROCESS,
    refuse_impossible,
)
from stream_manager.lab.camera_plan import Plan
from stream_manager.lab.camera_process import CameraProcess
from stream_manager.lab.errands import Errands, stopped
from stream_manager.lab.faults import Order, parse
from stream_manager.lab.record import (
    ErrorFact,
    Fact,
    FaultFact,
    Phase,
    ReadyFact,
    instant,
    now,
)

SYNC_TIMEOUT_S = 10.0
FROZEN = "freeze"
DEAD = ("die", "reboot")
BY_SIGNAL = frozenset(kind.name for kind in PROCESS)


class Keeper:
    """One camera from its start to its stop, over the deaths of its process.

    `write_down` gets every fact, in the keeper's thread.
    """

    def __init__(
        self, plan: Plan, orders: Sequence[Order], write_down: Callable[[Fact], None]
    ) -> None:
        self._plan = plan
        self._tracks: Mapping[str, str] = {}
        for order in orders:
            refuse_impossible(order, self._plan, self._tracks)
        self._write_down = write_down
        self._agenda = Agenda()
        self._board = Board.create(len(plan.mounts))
        self._plan = replace(plan, board=self._board.descriptor)
        self._audience = Audience()
        # Their times count from when it is ready. Of one fault in one moment the last order counts.
        self._first_orders = list({(order.name, order.after_s): order for order in orders}.values())
        self._early: list[Order] = []  # those of them that were on before anybody could see it
        self._back: list[str] = []  # deaths that end when the camera is ready
        self._ready: list[Future[None]] = []
        self._syncs: dict[int, Future[None]] = {}
        self._numbers = itertools.count()
        self._errands = Errands()
        self._failed: UsageError | OutsideError | None = None
        self._process = CameraProcess(self._plan)
        self._start()
        self._thread = threading.Thread(target=self._run, name="camera-keeper", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The camera's process, or the one that waits to take a dead one's place."""
        return self._process.pid

    def order(self, line: str) -> None:
        """Take an order; return when what is due at once is done."""
        synced = self._errands.ask(lambda: self._order(line)).result()
        with suppress(TimeoutError):
            synced.result(SYNC_TIMEOUT_S)

    def wait_until_ready(self, timeout_s: float) -> None:
        """Return when the camera accepts connections. Raises what keeps it from that."""
        ready = self._errands.ask(self._when_ready).result()
        try:
            ready.result(timeout_s)
        except TimeoutError as error:
            raise OutsideError(f"the camera was not ready within {timeout_s:g} s") from error

    def stop(self) -> None:
        """End the camera and everything of it."""
        self._errands.ask_to_end()
        self._thread.join()
        self._errands.close()
        self._board.close()

    def _run(self) -> None:
        try:
            self._keep()
        finally:
            self._leave()

    def _leave(self) -> None:
        """Leave no process, and nobody who waits."""
        self._process.kill()
        self._process.close()
        self._errands.refuse()
        self._release()
        for ready in self._ready:
            ready.set_exception(stopped())

    def _keep(self) -> None:
        while True:
            self._wait()
            if self._failed is None:
                self._read()
                if self._process.over:
                    self._lose()
            if not self._errands.answer():
                if self._failed is None:
                    self._end_process(now())
                return
            self._advance()

    def _wait(self) -> None:
        """Return when somebody asks, the camera tells, or something is due."""
        poll = select.poll()
        poll.register(self._errands, select.POLLIN)
        if self._failed is None:
            poll.register(self._process, select.POLLIN)
        due_s = None if self._failed else self._agenda.next_at_s()
        wait_ms = None if due_s is None else max(0.0, (due_s - time.monotonic()) * 1000)
        if any(descriptor == self._errands.fileno() for descriptor, _ in poll.poll(wait_ms)):
            self._errands.wake()

    def _start(self) -> None:
        for order in self._first_orders:
            if order.name in BY_SIGNAL:
                continue
            if order.after_s == 0:
                self._early.append(order)
                self._process.tell(f"begin {order.line}")
            elif order.name in ENCODED:
                self._process.tell(f"prepare {order.line}")
        self._process.tell("listen")

    def _order(self, line: str) -> Future[None]:
        self._check_alive()
        ordered = parse(line, CAMERA_FAULTS)
        if isinstance(ordered, Order):
            refuse_impossible(ordered, self._plan, self._tracks)
        self._agenda.take(ordered, time.monotonic())
        if isinstance(ordered, Order) and ordered.name in ENCODED and ordered.after_s:
            self._process.tell(f"prepare {ordered.line}")
        self._advance()
        synced: Future[None] = Future()
        if self._process.ready and not self._process.frozen:
            number = next(self._numbers)
            self._syncs[number] = synced
            self._process.tell(f"sync {number}")
        else:
            synced.set_result(None)
        return synced

    def _check_alive(self) -> None:
        if self._failed is not None:
            raise OutsideError(f"the camera has ended: {self._failed}") from self._failed

    def _when_ready(self) -> Future[None]:
        self._check_failed()
        ready: Future[None] = Future()
        if self._process.ready:
            ready.set_result(None)
        else:
            self._ready.append(ready)
        return ready

    def _check_failed(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _advance(self) -> None:
        if self._failed is None:
            for step in self._agenda.due(time.monotonic()):
                match step:
                    case Begin(order=order):
                        self._begin(order)
                    case End(order=order):
                        self._end(order.name)

    def _begin(self, order: Order) -> None:
        if order in self._early:
            self._early.remove(order)
        elif order.name == FROZEN:
            self._freeze()
        elif order.name in DEAD:
            self._die(order.name)
        else:
            self._process.tell(f"begin {order.line}")

    def _end(self, name: str) -> None:
        if name == FROZEN:
            self._note(name, Phase.ENDED)
            self._process.thaw()
        elif name in DEAD:
            self._back.append(name)
            if not any(order.name in DEAD for order in self._agenda.on):
                self._process.tell("listen")
        else:
            self._process.tell(f"end {name}")

    def _freeze(self) -> None:
        at = now()
        self._process.freeze()
        self._read()
        self._board.count_freeze()
        self._tell_last_pictures()
        self._write_down(FaultFact(at=at, name=FROZEN, phase=Phase.BEGAN))

    def _die(self, name: str) -> None:
        at = now()
        self._end_process(at)
        self._write_down(FaultFact(at=at, name=name, phase=Phase.BEGAN))
        # The next one makes itself ready meanwhile, so that it is there in the moment it should.
        self._process = CameraProcess(replace(self._plan, first_viewer=self._audience.next_viewer))
        for order in self._agenda.on:
            if order.name not in BY_SIGNAL:
                self._process.tell(f"still {order.line}")

    def _end_process(self, at: datetime) -> None:
        """Kill it, and tell what it had no time to tell."""
        self._process.kill()
        self._read()
        self._tell_last_pictures()
        for ended in self._audience.dismiss(at):
            self._write_down(ended)
        self._process.close()
        self._release()

    def _tell_last_pictures(self) -> None:
        for last in self._audience.blind(self._last_picture_at):
            self._write_down(last)

    def _last_picture_at(self, mount: str) -> datetime:
        return instant(self._board.last_picture_ns(self._plan.mounts.index(mount)))

    def _read(self) -> None:
        for told in self._process.read():
            if isinstance(told, int):
                self._syncs.pop(told).set_result(None)
            else:
                self._see(told)

    def _see(self, fact: Fact) -> None:
        self._audience.see(fact)
        self._write_down(fact)
        if isinstance(fact, ReadyFact):
            self._process.ready = True
            self._plan = replace(self._plan, port=fact.port)
            self._tracks = fact.tracks
            self._welcome(fact.at)

    def _welcome(self, at: datetime) -> None:
        """Go on where it only mattered that the camera is there."""
        for name in self._back:
            self._write_down(FaultFact(at=at, name=name, phase=Phase.ENDED))
        self._back.clear()
        orders, self._first_orders = self._first_orders, []
        for order in orders:
            self._agenda.take(order, time.monotonic())
        for ready in self._ready:
            ready.set_result(None)
        self._ready.clear()

    def _lose(self) -> None:
        """Face it that the camera has ended by itself."""
        self._failed = self._process.failure()
        if self._process.ready:
            self._write_down(ErrorFact(at=now(), name=None, text=str(self._failed)))
        self._process.close()
        for ready in self._ready:
            ready.set_exception(self._failed)
        self._ready.clear()
        self._release()

    def _release(self) -> None:
        """Let nobody wait for an answer that will not come."""
        for synced in self._syncs.values():
            synced.set_result(None)
        self._syncs.clear()

    def _note(self, name: str, phase: Phase) -> None:
        self._write_down(FaultFact(at=now(), name=name, phase=phase))
