"""What a source is: asked once, for a few seconds, without a manager.

Read in this order: target (what is asked, and which of it is secret), process (the asking, in a
process that may crash or hang), verdict (why there is no answer), report (what is told of one).
"""

from stream_manager.probe.process import look
from stream_manager.probe.report import facts, table
from stream_manager.probe.target import Target, read_target
from stream_manager.probe.verdict import Verdict, judge

__all__ = ["Target", "Verdict", "facts", "judge", "look", "read_target", "table"]
