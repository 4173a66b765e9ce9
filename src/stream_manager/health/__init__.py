"""From media progress to health: pure judgements, read by the streams.

Read in this order: rhythm (when is a track silent for too long?), pulse (is this run proven, or
stalled?), state (what is that in one word?), outages (what did it cost?), blame (what explains
it?).
"""

from stream_manager.health.blame import tells_more
from stream_manager.health.outages import Outage, Outages
from stream_manager.health.pulse import BORNE_FOR_S, Pulse, Stall
from stream_manager.health.rhythm import Rhythm
from stream_manager.health.state import HealthState, health_of

__all__ = [
    "BORNE_FOR_S",
    "HealthState",
    "Outage",
    "Outages",
    "Pulse",
    "Rhythm",
    "Stall",
    "health_of",
    "tells_more",
]
