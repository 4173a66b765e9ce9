"""What was recorded and what was not: the index kept true, and asked.

Read gaps (what is missing, and why), measuring and survey (what the disks say), then keeper.
"""

from stream_manager.recordings.gaps import Gap, find_gaps
from stream_manager.recordings.keeper import IndexKeeper

__all__ = ["Gap", "IndexKeeper", "find_gaps"]
