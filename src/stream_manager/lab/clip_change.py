"""Faults that need another clip: it is encoded aside, and shown when it is there."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from gi.repository import GLib

from stream_manager.errors import OutsideError
from stream_manager.lab import clips
from stream_manager.lab.encoder import encode
from stream_manager.lab.faults import Order
from stream_manager.lab.media import Clip, Kind
from stream_manager.lab.picture import Picture
from stream_manager.lab.record import ErrorFact, Phase, now


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a clip shows, and how it is encoded."""

    picture: Picture
    codec: str


class ClipChange:
    """Which clip is shown, by the faults that are on. For the main loop's thread.

    `tell` records when a fault began or ended: that is when the clip is exchanged, and not when it
    was ordered.
    """

    def __init__(
        self,
        original: Clip,
        picture: Picture,
        *,
        show_in_band: Callable[[Clip], None],
        show_anew: Callable[[Clip], None],
        tell: Callable[[str, Phase], None],
        complain: Callable[[ErrorFact], None],
    ) -> None:
        self._original = original
        self._look = Look(picture=picture, codec=original.codecs[Kind.VIDEO.value])
        self._show_in_band = show_in_band
        self._show_anew = show_anew
        self._tell = tell
        self._complain = complain
        self._clips: dict[Look, Clip | None] = {}  # None: it is being encoded
        self._on: dict[str, Order] = {}
        self._waiting: list[tuple[Order, Phase]] = []  # told when the clip is there
        self._shown = original

    def prepare(self, order: Order) -> None:
        """Encode in advance what an order will need."""
        self._clip({**self._on, order.name: order})

    def begin(self, order: Order) -> None:
        """Change the clip as soon as it is encoded, and tell of it then."""
        self._on[order.name] = order
        self._waiting.append((order, Phase.BEGAN))
        self._switch()

    def begin_unseen(self, order: Order) -> None:
        """Change the clip while nobody looks: that may take its time, and is not told."""
        self._on[order.name] = order
        look = self._wanted(self._on)
        self._clips[look] = self._finished(clips.generate(look.picture, look.codec))
        self._switch()

    def end(self, name: str) -> None:
        """Take a change back."""
        order = self._on.pop(name, None)
        if order is None:
            return  # it could not be encoded, which was told
        if (order, Phase.BEGAN) in self._waiting:
            self._waiting.remove((order, Phase.BEGAN))
            self._complain(_error(name, "it ended before its clip was encoded"))
        else:
            self._waiting.append((order, Phase.ENDED))
        self._switch()

    def _switch(self) -> None:
        """Show what is wanted now, if it is encoded."""
        clip = self._clip(self._on)
        if clip is None:
            return
        if clip is not self._shown:
            in_band = clip.codecs == self._shown.codecs and all(
                order.options.get("how") == "in-band" for order, _ in self._waiting
            )
            self._shown = clip
            show = self._show_in_band if in_band else self._show_anew
            show(clip)
        waiting, self._waiting = self._waiting, []
        for order, phase in waiting:
            self._tell(order.name, phase)

    def _wanted(self, orders: dict[str, Order]) -> Look:
        look = self._look
        if (order := orders.get("resolution")) is not None:
            width, height = order.options["size"]
            look = replace(look, picture=replace(look.picture, width=width, height=height))
        if (order := orders.get("codec")) is not None:
            look = replace(look, codec=order.options["name"])
        return look

    def _clip(self, orders: dict[str, Order]) -> Clip | None:
        """Return the clip for some faults, or None and begin to encode it."""
        if not orders:
            return self._original
        look = self._wanted(orders)
        if look not in self._clips:
            self._clips[look] = None
            threading.Thread(target=self._encode, args=(look,), daemon=True).start()
        return self._clips[look]

    def _encode(self, look: Look) -> None:
        try:
            clip = self._finished(encode(look.picture, look.codec))
        except OutsideError as error:
            GLib.idle_add(self._fail, look, str(error))
        else:
            GLib.idle_add(self._receive, look, clip)

    def _finished(self, clip: Clip) -> Clip:
        return clip.with_sound_of(self._original)

    def _receive(self, look: Look, clip: Clip) -> bool:
        self._clips[look] = clip
        self._switch()
        return False  # once is enough for GLib

    def _fail(self, look: Look, reason: str) -> bool:
        del self._clips[look]
        for order, _ in self._waiting:
            self._on.pop(order.name, None)
            self._complain(_error(order.name, reason))
        self._waiting.clear()
        return False


def _error(name: str, text: str) -> ErrorFact:
    return ErrorFact(at=now(), name=name, text=text)
