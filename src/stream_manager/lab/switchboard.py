"""Each fault on the wire, and what switches it in the server. For the main loop's thread."""

from collections.abc import Callable, Mapping
from typing import Any

from stream_manager.lab.camera_plan import Auth
from stream_manager.lab.faults import Order
from stream_manager.lab.media import Kind
from stream_manager.lab.rtsp_server import RtspServer
from stream_manager.lab.viewers import STATUSES

Options = Mapping[str, Any]
Switch = tuple[Callable[[Options], object], Callable[[], object]]


class Switchboard:
    """Begins and ends faults of a running server; those of the clip are `ClipChange`'s."""

    def __init__(self, server: RtspServer, auth: Auth) -> None:
        viewers, door = server.viewers, server.door

        def met_by_all(switch: Callable[[Options], object]) -> Callable[[Options], object]:
            def begin(options: Options) -> None:
                switch(options)
                viewers.drop()

            return begin

        def refusal(fault: str) -> Switch:
            begin = met_by_all(lambda options: viewers.refuse(fault, on=options["on"]))
            return begin, lambda: viewers.admit(fault)

        self._switches: dict[str, Switch] = {
            "drop": (lambda options: viewers.drop(reset=options["rst"]), _nothing),
            "refuse": (met_by_all(lambda _: door.close()), door.open),
            "password": (
                met_by_all(lambda _: server.change_password(auth)),
                server.keep_password,
            ),
            **{fault: refusal(fault) for fault in STATUSES},
            "single-session": (lambda options: viewers.limit(options["hold"]), viewers.unlimit),
            "stutter": (
                lambda options: server.stutter(options["gap"]),
                lambda: server.stutter(0),
            ),
            "lose-video": (
                lambda _: server.lose(Kind.VIDEO),
                lambda: server.find(Kind.VIDEO),
            ),
            "lose-audio": (
                lambda _: server.lose(Kind.AUDIO),
                lambda: server.find(Kind.AUDIO),
            ),
            "no-keyframe": (
                lambda _: server.withhold_keyframes(wanted=True),
                lambda: server.withhold_keyframes(wanted=False),
            ),
            "garbage": (
                lambda _: server.garble(wanted=True),
                lambda: server.garble(wanted=False),
            ),
            "jump": (lambda options: server.leap(options["by"]), _nothing),
        }

    def begin(self, order: Order) -> None:
        """Cause a fault."""
        self._switches[order.name][0](order.options)

    def end(self, name: str) -> None:
        """Undo a fault."""
        self._switches[name][1]()


def _nothing() -> None:
    pass  # done at once: there is nothing to undo
