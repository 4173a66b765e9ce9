"""What is kept of an incident, so that somebody can look into it afterwards.

Read in this order: finding (what is known of one fault), threads and examination (a process that
hangs, looked at while it lives), gathering (from a finding to files), shelf (where they lie, and
how many), keeper (the thread that does all this), bundle (one archive to send to somebody).
"""

from stream_manager.evidence.bundle import write_bundle
from stream_manager.evidence.examination import Examination, examine
from stream_manager.evidence.finding import Finding, Kept
from stream_manager.evidence.keeper import Keeper
from stream_manager.evidence.shelf import Case, read_case, read_cases

__all__ = [
    "Case",
    "Examination",
    "Finding",
    "Keeper",
    "Kept",
    "examine",
    "read_case",
    "read_cases",
    "write_bundle",
]
