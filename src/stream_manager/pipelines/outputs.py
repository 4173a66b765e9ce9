"""The outputs of a worker: each started beside the running source, and ended within a grace."""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from stream_manager.pipelines.gst import GLib, Gst
from stream_manager.pipelines.messages import OutputProgress, Standing

_ABANDON_MS = 100  # after an output's own deadline: it may not call back


class Output(Protocol):
    """A recorder, a custom output, or a feed of one in another process."""

    @property
    def pipeline(self) -> Gst.Pipeline | None:
        """What it runs, if it does yet."""
        ...

    def start(self) -> None:
        """Build, link and play."""
        ...

    def stop(self, grace_s: float, on_gone: Callable[[], None]) -> None:
        """End it within `grace_s`."""
        ...

    def progress(self) -> OutputProgress:
        """Return what it has taken."""
        ...


@dataclass(slots=True, kw_only=True)
class _Running:
    output: Output
    epoch: int
    after: list[Callable[[], None]] = field(default_factory=list)  # once it is gone; not yet: empty


class Outputs:
    """The outputs that run, by the names of their parts."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    def __contains__(self, part: str) -> bool:
        """Tell whether an output of that name is there, or not gone yet."""
        return part in self._running

    def start(self, part: str, epoch: int, output: Output) -> None:
        """Start one; none of its name may be there."""
        self._running[part] = _Running(output=output, epoch=epoch)
        output.start()

    def has(self, part: str, epoch: int) -> bool:
        """Tell whether that very run of an output is there."""
        running = self._running.get(part)
        return running is not None and running.epoch == epoch

    def standing(self) -> tuple[Standing, ...]:
        """Return those that there are."""
        return tuple(
            Standing(part=part, epoch=it.epoch, ending=bool(it.after))
            for part, it in self._running.items()
        )

    def pipeline(self, part: str) -> Gst.Pipeline | None:
        """Return what an output runs; None where it is not there."""
        running = self._running.get(part)
        return running.output.pipeline if running else None

    def progress(self) -> tuple[OutputProgress, ...]:
        """Return what each has taken."""
        return tuple(it.output.progress() for it in self._running.values())

    def end_all(self, grace_s: float, then: Callable[[], None]) -> None:
        """End all at once; `then` follows when the last is gone or its grace is over."""
        left = set(self._running)
        if not left:
            then()
            return

        def ended(part: str) -> None:
            left.discard(part)
            if not left:
                then()

        for part in tuple(left):
            self.end(part, grace_s, partial(ended, part))

    def end(self, part: str, grace_s: float, then: Callable[[], None] = lambda: None) -> None:
        """End one; `then` follows once, when it is gone or its grace is over."""
        running = self._running[part]
        running.after.append(then)
        if len(running.after) > 1:
            return  # being ended already

        def end() -> None:
            if self._running.get(part) is running:  # its own end and our timer both come here
                GLib.source_remove(timer)
                del self._running[part]
                free()
                for callback in running.after:
                    callback()

        def on_timer() -> bool:
            end()
            return GLib.SOURCE_CONTINUE  # end() has removed it

        timer = GLib.timeout_add(int(grace_s * 1000) + _ABANDON_MS, on_timer)
        running.output.stop(grace_s, end)


def free() -> None:
    """Free a part that has ended: pipelines and Python callbacks hold each other.

    Left to the collector's own pace they kept 40 descriptors and grew by 30 kB a rebuild; a
    collection takes 3 ms, for all that is older than the fork is frozen (measured).
    """
    gc.collect()
