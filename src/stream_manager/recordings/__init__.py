"""What was recorded and what was not: the index kept true, and asked.

Read gaps (what is missing, and why), places, marker, measuring and survey (what the disks say),
judging (what that makes of one file), audit (index and disks compared), keeper (what is told);
then, for readers, catalogue, verify, export, and publishing, by which it makes its files.
"""

from stream_manager.recordings.gaps import Gap, find_gaps
from stream_manager.recordings.keeper import IndexKeeper

__all__ = ["Gap", "IndexKeeper", "find_gaps"]
