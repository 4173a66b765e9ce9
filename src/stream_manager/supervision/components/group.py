"""A component without work, for others to be the children of."""

from collections.abc import Callable

from stream_manager.recovery import Action, Event, Gone, Proved, Start, Started


class Group:
    """Performer: starts, is proven and ends at once; all that it does is to have children."""

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post

    def begin(self, action: Action) -> None:
        """Say that it is done."""
        if isinstance(action, Start):
            self._post(Started(id=action.id, epoch=action.epoch))
            self._post(Proved(id=action.id, epoch=action.epoch))
        else:
            self._post(Gone(id=action.id, epoch=action.epoch))
