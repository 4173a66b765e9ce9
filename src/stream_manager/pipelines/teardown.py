"""Changes of state that may block for ever, kept off the main thread and bounded in time.

What does not end in time is abandoned: kept whole, for a freed one would crash, while its successor
is built beside it.
"""

import threading
from collections.abc import Callable

from stream_manager.pipelines.gst import GLib, Gst

BEARABLE = 3  # so many hung parts are borne; for one more the process is to be replaced

abandoned: set[object] = set()


def abandon(part: object) -> bool:
    """Keep a part that hangs; tell whether the process can bear one more."""
    abandoned.add(part)
    return len(abandoned) <= BEARABLE


def set_state(
    pipeline: Gst.Pipeline, state: Gst.State, on_done: Callable[[Gst.StateChangeReturn], None]
) -> None:
    """Set `state` on a thread of its own; `on_done` tells the result on the main thread.

    A blocked open() or write() blocks this for as long as it lasts, and can't be cancelled.
    """

    def run() -> None:
        GLib.idle_add(on_done, pipeline.set_state(state))

    threading.Thread(target=run, name=f"to-{state.value_nick}", daemon=True).start()


def to_null(
    pipeline: Gst.Pipeline,
    *,
    within_s: float,
    on_gone: Callable[[], None],
    on_hung: Callable[[], None],
) -> None:
    """Set NULL; one of the two callbacks follows, on the main thread.

    After `on_hung` only the end of the process frees the pipeline.
    """
    deadline: int | None = None

    def on_deadline() -> bool:
        nonlocal deadline
        deadline = None
        on_hung()
        return GLib.SOURCE_REMOVE

    def on_null(_result: Gst.StateChangeReturn) -> None:
        if deadline is not None:
            GLib.source_remove(deadline)
            on_gone()

    deadline = GLib.timeout_add(max(0, int(within_s * 1000)), on_deadline)
    set_state(pipeline, Gst.State.NULL, on_null)
