"""The manager's side: streams under the supervisor, their workers, and what is shown of them.

Read in this order: channel, launcher (the fork server), process and worker (one process), parts,
stream (one stream), history and media (what it cost and brought), manager (all streams), views,
entries and report (what is told), logs, systemd, reload, serve (the whole process).
"""

from stream_manager.streams.manager import StreamManager
from stream_manager.streams.serve import serve

__all__ = ["StreamManager", "serve"]
