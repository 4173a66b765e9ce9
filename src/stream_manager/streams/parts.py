"""The parts of a worker as components: a source, an output."""

from collections.abc import Callable

from stream_manager.pipelines.messages import StartCustom, StartRecord, StartSource, StopPart
from stream_manager.recovery import Action, Event, Gone, Start
from stream_manager.streams.worker import Worker


class Part:
    """Component: something that a worker runs by itself, named `STREAM/PART`.

    order: makes what to tell the worker when the part starts. begun: whether that runs already,
    begun by a successor that took over.
    """

    def __init__(
        self,
        id_: str,
        worker: Worker,
        *,
        post: Callable[[Event], None],
        order: Callable[[Start], StartSource | StartRecord | StartCustom],
        begun: Callable[[Start], bool],
    ) -> None:
        self.id = id_
        self.name = id_.rpartition("/")[2]
        self._worker = worker
        self._post = post
        self._order = order
        self._begun = begun

    def begin(self, action: Action) -> None:
        """Tell the worker. One that can't be told has ended, or will be found hanging."""
        if isinstance(action, Start):
            if not self._begun(action):
                self._worker.send(self._order(action))
            return
        stop = StopPart(part=self.name, epoch=action.epoch, grace_s=action.grace_s)
        if not self._worker.send(stop) and not self._worker.connected:
            self._post(Gone(id=self.id, epoch=action.epoch))
