"""The camera's own process, `python -m stream_manager.lab.camera_server`: see `camera_plan`.

It prints its part of the record. Exit status 2 and one line on stderr: the plan can't be served.
"""

import json
import os
import signal
import sys

from gi.repository import GLib

from stream_manager.errors import UsageError
from stream_manager.lab import clips
from stream_manager.lab.board import Board
from stream_manager.lab.camera_faults import ENCODED, WIRE
from stream_manager.lab.camera_plan import SYNCED, Plan
from stream_manager.lab.clip_change import ClipChange
from stream_manager.lab.faults import Lasts, Order, parse
from stream_manager.lab.record import ErrorFact, Fact, FaultFact, Phase, ReadyFact, now, to_json
from stream_manager.lab.rtsp_server import Credentials, RtspServer
from stream_manager.lab.switchboard import Switchboard

STDIN, STDOUT = 0, 1
MOST = 65536


class CameraServer:
    """Does what the lines on stdin say, until stdin hangs up."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        clip = clips.generate(plan.picture) if plan.clip is None else clips.read(plan.clip)
        self._codecs = clip.codecs
        self._server = RtspServer(
            clip,
            mounts=plan.mounts,
            bind=plan.bind,
            port=plan.port,
            credentials=_credentials(plan),
            board=Board.attach(plan.board),
            tell=_tell,
            first_viewer=plan.first_viewer,
        )
        self._switchboard = Switchboard(self._server, plan.auth)
        self._clip_change = ClipChange(
            clip,
            plan.picture,
            show_in_band=self._server.show_in_band,
            show_anew=self._server.show_anew,
            tell=self._note,
            complain=_tell,
        )
        self._listens = False
        self._shut: Order | None = None  # to refuse connections as soon as the port is known
        self._unseen: list[tuple[str, Phase]] = []  # what is recorded when the door opens
        self._not_begun: set[str] = set()  # faults that this clip can't have
        self._refused: UsageError | None = None
        self._loop = GLib.MainLoop()
        self._rest = b""

    def run(self) -> None:
        """Serve for ever. Raises `UsageError` if that can't be done as planned."""
        GLib.unix_fd_add_full(
            GLib.PRIORITY_DEFAULT, STDIN, GLib.IOCondition.IN | GLib.IOCondition.HUP, self._read
        )
        self._loop.run()  # type: ignore[no-untyped-call] # an override without annotations
        assert self._refused is not None
        raise self._refused

    def _read(self, _descriptor: int, _condition: GLib.IOCondition) -> bool:
        received = os.read(STDIN, MOST)
        if not received:
            os._exit(0)  # the owner is gone, and a camera has nothing to finish
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            try:
                self._do(line.decode())
            except UsageError as error:
                self._refused = error
                self._loop.quit()
                break
        return True

    def _do(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        match verb:
            case "begin" | "still":
                self._begin(_order(rest), told=verb == "begin")
            case "end":
                self._end(rest)
            case "prepare":
                self._clip_change.prepare(_order(rest))
            case "listen":
                self._listen()
            case "sync":
                _write(json.dumps({SYNCED: int(rest)}))

    def _begin(self, order: Order, *, told: bool) -> None:
        if order.name in ENCODED and self._listens:
            self._clip_change.begin(order)
            return
        if order.name == "no-keyframe" and self._server.clip.keyframes_only:
            self._impossible(order.name, "every picture of this clip is a keyframe", told=told)
            return
        if told:
            self._note(order.name, Phase.BEGAN)
        if order.name in ENCODED:
            self._clip_change.begin_unseen(order)
        elif order.name == "refuse" and not self._listens:
            self._shut = order
        else:
            self._switchboard.begin(order)
        if order.kind.lasts is Lasts.ONCE:
            self._note(order.name, Phase.ENDED)

    def _end(self, name: str) -> None:
        if name in ENCODED:
            self._clip_change.end(name)
            return
        if name in self._not_begun:
            self._not_begun.remove(name)
            return
        if name == "refuse" and not self._listens:
            self._shut = None
        else:
            self._switchboard.end(name)
        self._note(name, Phase.ENDED)  # who reads that may connect at once

    def _impossible(self, name: str, reason: str, *, told: bool) -> None:
        """Refuse to start with such a fault; go on without it when it comes later."""
        if told and not self._listens:
            raise UsageError(f"{name}: {reason}")
        self._not_begun.add(name)
        if told:
            _tell(ErrorFact(at=now(), name=name, text=reason))

    def _listen(self) -> None:
        port = self._server.door.open()
        bind = self._plan.bind
        host = f"[{bind}]" if ":" in bind else bind
        urls = {mount: f"rtsp://{host}:{port}/{mount}" for mount in self._plan.mounts}
        if self._shut is not None:
            self._switchboard.begin(self._shut)
        _tell(ReadyFact(at=now(), port=port, urls=urls, tracks=self._codecs))
        self._listens = True
        for name, phase in self._unseen:
            self._note(name, phase)

    def _note(self, name: str, phase: Phase) -> None:
        """Record what happens to a fault now, or once there can be somebody who meets it."""
        if self._listens:
            _tell(FaultFact(at=now(), name=name, phase=phase))
        else:
            self._unseen.append((name, phase))


def _order(line: str) -> Order:
    order = parse(line, WIRE)
    assert isinstance(order, Order)
    return order


def _credentials(plan: Plan) -> Credentials | None:
    if plan.user is None or plan.password is None:
        return None
    return Credentials(user=plan.user, password=plan.password, method=plan.auth)


def _tell(fact: Fact) -> None:
    _write(to_json(fact))


def _write(line: str) -> None:
    os.write(STDOUT, f"{line}\n".encode())  # one call a line, which threads can't tear apart


def main() -> int:
    """Serve the plan on stdin; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner ends it in due order
    try:
        CameraServer(Plan.from_json(_first_line())).run()
    except UsageError as error:
        sys.stderr.write(f"camera: {error}\n")
    return 2


def _first_line() -> str:
    """Read the plan and not a byte more: what follows is read without a buffer of Python's."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(STDIN, 1)
        if not byte:
            os._exit(0)
        line += byte
    return line.decode()


if __name__ == "__main__":
    sys.exit(main())
