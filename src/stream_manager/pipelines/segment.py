"""One file of a recording: a muxer and a sink in a bin of their own.

Tracks enter and leave by its pads, each in its own streaming thread. When all have left, the
muxer finishes the file and `on_finished` is called, once, in a streaming thread.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gi.repository import Gst

from stream_manager.pipelines import containers, names
from stream_manager.pipelines.messages import Hole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stream_manager.pipelines.containers import Muxed
    from stream_manager.pipelines.feed import Feed
    from stream_manager.pipelines.messages import RecordedTrack

HOLES_MAX = 200  # what one packet to the manager holds with ease
HOLES_TOGETHER_S = 1.0  # holes of one cause within this time are told as one
AHEAD_S = 0.2  # the last picture's length, and what reordered pictures are stamped ahead
_STICKY = (Gst.EventType.STREAM_START, Gst.EventType.CAPS, Gst.EventType.SEGMENT)


class Segment:
    """A file being written.

    `begin_ns` and `end_ns` are running times of the leading track. `began_at` is in UTC seconds;
    `began_s` is the same instant in monotonic ones.
    `continues`: no picture is missing before it. `holes`: where pictures are missing inside it.
    `skipped_ns`: what timestamps leapt over without a picture missing. `broken`: an element of
    its bin has failed.
    `following` is the segment after this one, once it is there: each track walks along this
    chain at its own pace, so that tracks share no lock. `after_jump`: timestamps went back
    just before, so running times of this segment and its forerunner can't be compared.
    """

    def __init__(
        self,
        *,
        sequence: int,
        container: "Muxed",
        path: Path,
        fd: int,
        began_at: float,
        began_s: float,
        begin_ns: int,
        after_jump: bool,
        continues: bool,
    ) -> None:
        self.sequence = sequence
        self.container = container
        self.path = path
        self.began_at = began_at
        self.began_s = began_s
        self.begin_ns = self.end_ns = begin_ns
        self.after_jump = after_jump
        self.continues = continues
        self.following: Segment | None = None
        self.tracks: tuple[RecordedTrack, ...] = ()
        self.holes: tuple[Hole, ...] = ()
        self.skipped_ns = 0
        self.broken = False
        self._ended = False
        self._fd = fd
        self._closed_bytes: int | None = None
        self._pads: dict[str, Gst.GhostPad] = {}
        self._bin = Gst.parse_bin_from_description(
            f"{containers.MUXERS[container]} name=mux"
            f" ! fdsink name=sink fd={fd} sync=false async=false",
            ghost_unlinked_pads=False,
        )

    @classmethod
    def create(
        cls,
        *,
        directory: Path,
        stream: str,
        began_at: float,
        began_s: float,
        container: "Muxed",
        sequence: int,
        begin_ns: int,
        after_jump: bool,
        continues: bool,
    ) -> Self:
        """Create the file under its name in time. Raises OSError, which names the path."""
        path, fd = names.create(directory, stream, began_at, container)
        return cls(
            sequence=sequence,
            container=container,
            path=path,
            fd=fd,
            began_at=began_at,
            began_s=began_s,
            begin_ns=begin_ns,
            after_jump=after_jump,
            continues=continues,
        )

    def open(
        self,
        pipeline: Gst.Pipeline,
        feeds: "Iterable[Feed]",
        on_finished: "Callable[[Segment], None]",
    ) -> None:
        """Put the bin to work in a playing pipeline, with a pad for the track of each feed."""
        mux = self._bin.get_by_name("mux")
        sink = self._bin.get_by_name("sink")
        assert mux is not None
        assert sink is not None
        for feed in feeds:
            track = feed.track
            target = mux.request_pad_simple(containers.pad_template(self.container, track.kind))
            assert target is not None
            pad = Gst.GhostPad.new(track.name, target)
            pad.set_active(True)
            self._bin.add_pad(pad)
            self._pads[track.name] = pad
            self.tracks += (track.recorded(feed.caps),)
        entry = sink.get_static_pad("sink")
        assert entry is not None
        self._probe = (entry, entry.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self._on_event))
        self._on_finished = on_finished
        pipeline.add(self._bin)
        self._bin.sync_state_with_parent()

    def owns(self, element: Gst.Object) -> bool:
        """Tell whether the element works for this segment."""
        return element.has_as_ancestor(self._bin)

    @property
    def duration_s(self) -> float:
        """From its first picture to the end of its last, but no further than the present.

        Sources are live, or paced like it. What a camera says of a picture's length need not be
        true: garbage told of 48 s (seen).
        """
        told_s = (self.end_ns - self.begin_ns - self.skipped_ns) / Gst.SECOND
        return min(told_s, time.monotonic() - self.began_s + AHEAD_S)

    @property
    def finished(self) -> bool:
        """Whether the muxer has written all it had to, and the sink has taken it."""
        return self._ended and not self.broken

    def miss(self, missing_ns: int, cause: str) -> None:
        """Note that pictures are missing at the end of what is there.

        A slow disk costs a picture here and there: their lengths are added up, so that no time
        that was recorded is told as missing.
        """
        began_at, missing_s = self.began_at + self.duration_s, missing_ns / Gst.SECOND
        if self.holes:
            last = self.holes[-1]
            together = last.cause == cause and began_at - last.began_at < HOLES_TOGETHER_S
            if together or len(self.holes) >= HOLES_MAX:
                ended_at = last.ended_at + missing_s
                merged = Hole(began_at=last.began_at, ended_at=ended_at, cause=last.cause)
                self.holes = (*self.holes[:-1], merged)
                return
        self.holes += (Hole(began_at=began_at, ended_at=began_at + missing_s, cause=cause),)

    @property
    def written_bytes(self) -> int:
        """What write(2) has taken so far.

        Read where it can't block: fstat would ask the disk, lseek would wait for a hung write.
        """
        if self._closed_bytes is None:
            with suppress(FileNotFoundError):  # closed a moment ago, in the disk's thread
                info_fd = os.open(f"/proc/self/fdinfo/{self._fd}", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    return int(os.read(info_fd, 32).split()[1])  # the word after "pos:"
                finally:
                    os.close(info_fd)
        return self._closed_bytes or 0

    def takes(self, name: str) -> bool:
        """Tell whether the track may still enter, or is inside."""
        return name in self._pads

    def enter(self, name: str, pad: Gst.Pad) -> None:
        """Lead the track's data into the file; `pad` is linked to nothing."""
        pad.link(self._pads[name])

    def leave(self, name: str, pad: Gst.Pad) -> None:
        """End the track in this file, whether it ever entered or not; a second call does nothing.

        May write what the muxer held back, so it may block as long as the disk does.
        """
        entry = self._pads.pop(name, None)
        if entry is None:
            return
        if not pad.unlink(entry):
            for kind in _STICKY:
                if event := pad.get_sticky_event(kind, 0):
                    entry.send_event(event)
        entry.send_event(Gst.Event.new_eos())

    def close(self) -> int:
        """Take the bin out of its pipeline, sync the file, close it; return its size in bytes.

        A file that nothing reached is removed. Blocks as long as the disk does. Raises OSError.
        """
        pad, probe = self._probe
        pad.remove_probe(probe)
        self._bin.set_locked_state(True)
        self._bin.set_state(Gst.State.NULL)
        pipeline = self._bin.get_parent()
        if isinstance(pipeline, Gst.Pipeline):
            pipeline.remove(self._bin)
        try:
            size = os.fstat(self._fd).st_size
            if size:
                os.fsync(self._fd)
            else:
                self.path.unlink(missing_ok=True)
            self._closed_bytes = size
        finally:
            os.close(self._fd)
        return size

    def _on_event(self, _pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        event = info.get_event()
        assert event is not None
        if event.type is Gst.EventType.EOS:
            self._ended = True
            self._on_finished(self)
        return Gst.PadProbeReturn.OK
