"""What this machine lacks for the product, and the mend of each.

Read in this order: finding (what a check says), needs (what is used and who brings it: data),
media, python, kernel, timekeeping, places (the checks), diagnosis (all of them).
"""

from stream_manager.doctor.diagnosis import diagnose
from stream_manager.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "diagnose"]
