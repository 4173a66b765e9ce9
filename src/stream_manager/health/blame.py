"""Which of several faults explains an outage: the first, unless a later one tells more.

A camera that changes its password ends its sessions first: what is seen is a broken connection,
then a refusal. That connections broke, or that nothing came, says little; that no connection can
be made says more; and what the camera answers when it is asked says most.
"""

from enum import IntEnum

from stream_manager.recovery import Cause
from stream_manager.recovery.states import Sighting

CONNECT = "connect"  # the origin of what a connection that can't be made is told as
_ANSWERS = frozenset({Cause.AUTH, Cause.NOT_FOUND, Cause.DEVICE, Cause.CONFIG, Cause.MEDIA})


class _Tells(IntEnum):
    LITTLE = 0
    MORE = 1
    MOST = 2


def tells_more(later: Sighting, earlier: Sighting) -> bool:
    """Return whether `later` explains an outage better than `earlier`, with which it began.

    What happened on our own side (a crash, a full disk) explains itself, and nothing else.
    """
    if earlier.rule.cause not in {Cause.NETWORK, Cause.STALL} | _ANSWERS:
        return False
    return _worth(later) > _worth(earlier)


def _worth(sighting: Sighting) -> _Tells:
    if sighting.rule.cause in _ANSWERS:
        return _Tells.MOST
    if sighting.rule.cause is Cause.NETWORK and sighting.fault.origin == CONNECT:
        return _Tells.MORE
    return _Tells.LITTLE
