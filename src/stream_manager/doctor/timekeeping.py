"""Whether the clock is right: recordings, their names and the journal bear its times."""

import ctypes
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from stream_manager.doctor.finding import Finding, ok, unknown, warning
from stream_manager.doctor.kernel import in_container

STA_UNSYNC = 0x40

_TIMEX = struct.Struct("I4xqqqqi")  # the beginning of struct timex, up to its status
_TIMEX_BYTES = 512  # more than the whole of it
_SYNCHRONISED_MARK = "run/systemd/timesync/synchronized"
_MEND = "sudo apt-get install systemd-timesyncd && sudo timedatectl set-ntp true"


def kernel_status() -> int:
    """Return the status bits of adjtimex(2), which changes nothing here; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    if libc.adjtimex(timex) < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    *_, status = _TIMEX.unpack_from(timex)
    return int(status)


def clock(root: Path = Path("/"), status: Callable[[], int] = kernel_status) -> Iterator[Finding]:
    """Judge the clock by who keeps it; in a container that is the host, which can't be asked."""
    if in_container(root):
        found = "this is a container: its clock is the host's, which can't be asked from here"
        yield unknown("clock", found, "on the host: timedatectl show -p NTPSynchronized")
    elif (root / _SYNCHRONISED_MARK).exists():
        yield ok("clock", "synchronised by systemd-timesyncd")
    elif status() & STA_UNSYNC:
        found = "nothing synchronises it, says the kernel: times of recordings will drift"
        yield warning("clock", found, _MEND)
    else:
        yield ok("clock", "synchronised, says the kernel")
