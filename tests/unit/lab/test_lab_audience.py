"""What is told of viewers by a camera that was killed or frozen, and could not tell it itself."""

from datetime import UTC, datetime, timedelta

from stream_manager.lab.audience import Audience
from stream_manager.lab.record import MediaFact, Phase, SessionFact

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def session(viewer: int, phase: Phase) -> SessionFact:
    """Return that a viewer came or left."""
    return SessionFact(at=NOON, mount="cam", viewer=viewer, phase=phase)


def media(viewer: int, phase: Phase) -> MediaFact:
    """Return that a viewer's pictures began or ended."""
    return MediaFact(at=NOON, mount="cam", viewer=viewer, phase=phase)


def test_only_what_has_begun_and_not_ended_is_told_and_once() -> None:
    """A run ends with the last picture that left, and no earlier than it began."""
    audience = Audience()
    for viewer in (1, 2, 3):
        audience.see(session(viewer, Phase.BEGAN))
        audience.see(media(viewer, Phase.FIRST))
    audience.see(media(1, Phase.LAST))
    audience.see(session(1, Phase.ENDED))
    audience.see(media(2, Phase.LAST))
    assert audience.next_viewer == 4
    early, late = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)
    assert audience.blind(lambda _: early) == [media(3, Phase.LAST)]
    assert audience.blind(lambda _: early) == []
    assert [(it.viewer, it.at) for it in audience.dismiss(late)] == [(2, late), (3, late)]
    assert audience.dismiss(late) == []
    assert audience.next_viewer == 4
    audience.see(media(3, Phase.FIRST))
    assert [it.at for it in audience.blind(lambda _: late)] == [late]
