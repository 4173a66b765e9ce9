"""A worker's signs of life, in memory that its manager reads without a word between the two.

The worker renews them at each look at its parts. They are still there, as it left them, when its
process is stopped or dead: so a hang is found, and the end of media known, at the pace of looks
and not of reports.
"""

import os
import struct
from contextlib import suppress

_FORM = struct.Struct("dd")  # the instants of `VitalsPage.renew`, in monotonic seconds
_NEVER_S = 0.0


class VitalsPage:
    """The worker's side; `fd` is what it is known by, in this process."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("vitals", os.MFD_CLOEXEC)

    def renew(self, at_s: float, last_media_s: float | None) -> None:
        """Tell that the main loop runs at `at_s`, and when video last came."""
        os.pwrite(self.fd, _FORM.pack(at_s, last_media_s or _NEVER_S), 0)


class Vitals:
    """The manager's side, of one process: what `look` found last is kept, after `close` too.

    at_s: when its main loop last ran. last_media_s: when its source last brought video. Both None
    until known.
    """

    def __init__(self) -> None:
        self.at_s: float | None = None
        self.last_media_s: float | None = None
        self._fd: int | None = None

    def open(self, pid: int, fd: int | None) -> None:
        """Begin to read what is `fd` in process `pid`; of one that offers nothing, nothing."""
        self.close()
        if fd is not None:
            with suppress(OSError):  # it has ended, or /proc is not for us
                self._fd = os.open(f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)

    def look(self) -> None:
        """Read what is there now."""
        if self._fd is None:
            return
        page = os.pread(self._fd, _FORM.size, 0)
        if len(page) == _FORM.size:
            at_s, last_media_s = _FORM.unpack(page)
            self.at_s, self.last_media_s = at_s, last_media_s or None

    def close(self) -> None:
        """Look for the last time; a second call does nothing."""
        self.look()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
