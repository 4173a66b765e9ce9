"""A simulated camera: the handle that starts it, breaks it and makes sure that it never stays.

Importing this needs no GStreamer. The camera itself is a process of its own (`camera_server`), so
that it can be killed and frozen like a real one. One thread of this process, the keeper, owns it:
it does what is due and writes the record, and everybody else asks it to.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from stream_manager.errors import OutsideError, UsageError
from stream_manager.lab.camera_faults import CAMERA_FAULTS
from stream_manager.lab.camera_keeper import Keeper
from stream_manager.lab.camera_plan import Auth, Plan
from stream_manager.lab.faults import Order, parse
from stream_manager.lab.picture import Picture
from stream_manager.lab.record import Fact, ReadyFact

READY_TIMEOUT_S = 30.0


class Camera:
    """One RTSP server with one or several mounts, in a process that this object owns.

    It sends `clip` (or the generated `picture`) in a loop, to each client from the first keyframe.
    With `user` and `password` it asks for them, in the manner of `auth`. `port` 0 takes a free one
    and keeps it for life. `faults` are ordered at the start, as `order` does later. `on_fact` gets
    every fact of the record as it comes, in another thread, and must not call this object.
    Use it as a context manager; a killed owner's camera ends too.
    """

    def __init__(
        self,
        *mounts: str,
        clip: Path | None = None,
        picture: Picture | None = None,
        user: str | None = None,
        password: str | None = None,
        auth: Auth = "digest",
        bind: str = "127.0.0.1",
        port: int = 0,
        faults: Sequence[str] = (),
        on_fact: Callable[[Fact], None] | None = None,
    ) -> None:
        self._orders = [_order(line) for line in faults]
        self._plan = Plan(
            mounts=mounts or ("cam",),
            bind=bind,
            port=port,
            clip=clip,
            picture=picture or Picture(),
            user=user,
            password=password,
            auth=auth,
            board=-1,
        )
        self._on_fact = on_fact
        self._keeper: Keeper | None = None
        self.record: list[Fact] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port it listens on; 0 if that is not known before the first start."""
        return self._plan.port

    @property
    def pid(self) -> int:
        """The process of the running camera."""
        return self._running().pid

    def url(self, mount: str) -> str:
        """Return the URL of a mount, without user and password. Known since the first start."""
        return next(fact for fact in self.record if isinstance(fact, ReadyFact)).urls[mount]

    def start(self) -> None:
        """Start the camera, or end its death, and return once it accepts connections.

        Raises `UsageError` if the clip can't be read, the port is taken or the picture is
        impossible, and `OutsideError` if the camera ends for another reason or takes too long.
        """
        if self._keeper is None:
            self._keeper = Keeper(self._plan, self._orders, self._write_down)
        else:
            self.order("heal die")
        self.wait_until_ready()

    def stop(self) -> None:
        """End the camera; does nothing if it does not run."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.stop()

    def order(self, line: str) -> None:
        """Cause or heal a fault, as the grammar in `faults` has it.

        Returns when it has begun, if it is due at once and needs no encoding. Raises `UsageError`,
        and changes nothing, for a line that orders nothing possible.
        """
        self._running().order(line)

    def die(self) -> None:
        """End the process by SIGKILL, as a crash would, until `start`."""
        self.order("die")

    def reboot(self, after_s: float) -> None:
        """Die now and come back after `after_s` seconds. Returns at once."""
        self.order(f"reboot for={after_s:.3f}s")

    def wait_until_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return once the camera accepts connections; raises as `start` does."""
        try:
            self._running().wait_until_ready(timeout_s)
        except (UsageError, OutsideError):
            self.stop()
            raise

    def freeze(self) -> None:
        """Stop the process (SIGSTOP): sockets stay open and nothing flows."""
        self.order("freeze")

    def thaw(self) -> None:
        """Let a frozen camera go on: late by up to a second in a burst, else from the present."""
        self.order("heal freeze")

    def _running(self) -> "Keeper":
        if self._keeper is None:
            raise UsageError("the camera does not run: start it first")
        return self._keeper

    def _write_down(self, fact: Fact) -> None:
        if isinstance(fact, ReadyFact):
            self._plan = replace(self._plan, port=fact.port)
        self.record.append(fact)
        if self._on_fact is not None:
            self._on_fact(fact)


def _order(line: str) -> Order:
    ordered = parse(line, CAMERA_FAULTS)
    if not isinstance(ordered, Order):
        raise UsageError(f"{line}: nothing can be healed before the start")
    return ordered
