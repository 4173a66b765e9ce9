"""Which elements do not let go of a buffer: how a deadlock is told from a camera that is silent.

As long as a buffer is being handled, its thread holds the stream lock of every sink pad it came
through. A source that waits for its camera holds none: its buffer is not there yet.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.messages import TrackProgress
from stream_manager.pipelines.pace import JUDGED_WITHIN_S

SILENT_S = 0.4

Item = TypeVar("Item")


class Blockage:
    """Finds elements that hold a buffer in two looks in a row, while a track is silent."""

    def __init__(self) -> None:
        self._held: frozenset[str] = frozenset()

    def look(
        self, pipeline: Gst.Pipeline | None, tracks: Sequence[TrackProgress], at_s: float
    ) -> str | None:
        """Return the elements, like "identity (name)", or None.

        It takes 0.2 ms where a track is silent, and next to nothing where all flow.
        """
        before, self._held = self._held, frozenset()
        silent_s = max((at_s - it.last_s for it in tracks if it.last_s is not None), default=0.0)
        if pipeline is not None and SILENT_S < silent_s < JUDGED_WITHIN_S:
            self._held = innermost(pipeline)
        return ", ".join(sorted(self._held & before)) or None


def innermost(pipeline: Gst.Pipeline) -> frozenset[str]:
    """Return the elements that hold a buffer while nothing behind them does."""
    return frozenset(
        _name(element)
        for element in _all(pipeline.iterate_recurse(), Gst.Element)
        if not isinstance(element, Gst.Bin) and _holds(element) and not _passes_on(element)
    )


def _name(element: Gst.Element) -> str:
    factory = element.get_factory()
    kind = "an element" if factory is None else factory.get_name()
    return f"{kind} ({element.get_name()})"


def _holds(element: Gst.Element) -> bool:
    return any(map(_is_held, _all(element.iterate_sink_pads(), Gst.Pad)))


def _passes_on(element: Gst.Element) -> bool:
    behind = (pad.get_peer() for pad in _all(element.iterate_src_pads(), Gst.Pad))
    return any(pad is not None and _is_held(pad) for pad in behind)


def _is_held(pad: Gst.Pad) -> bool:
    lock = pad.stream_rec_lock
    if lock.trylock():
        lock.unlock()
        return False
    return True


def _all(iterator: Gst.Iterator | None, kind: type[Item]) -> Iterable[Item]:
    """Return what an iterator gives; begun anew when elements or pads come or go meanwhile."""
    found: list[Item] = []
    while iterator is not None:
        result, item = iterator.next()
        match result:
            case Gst.IteratorResult.OK if isinstance(item, kind):
                found.append(item)
            case Gst.IteratorResult.RESYNC:
                found.clear()
                iterator.resync()
            case _:
                break
    return found
