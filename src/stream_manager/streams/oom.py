"""Whether the kernel has lately ended a process for want of memory."""

from pathlib import Path

from stream_manager.clock import Clock

VMSTAT = Path("/proc/vmstat")
# The counter is the whole machine's, so only a rise just before a SIGKILL speaks for it.
LATELY_S = 10.0


class OutOfMemoryWatch:
    """Remembers when the kernel's count of out-of-memory kills was last seen to rise."""

    def __init__(self, clock: Clock, path: Path = VMSTAT) -> None:
        self._clock = clock
        self._path = path
        self._count = self._read()
        self._rose_s: float | None = None

    def look(self) -> None:
        """Read the counter; call it every few seconds."""
        count = self._read()
        if count is not None and self._count is not None and count > self._count:
            self._rose_s = self._clock.monotonic_s()
        self._count = count

    def killed_lately(self) -> bool:
        """Tell whether a process that just met SIGKILL may have been one of the kernel's."""
        self.look()
        return self._rose_s is not None and self._clock.monotonic_s() - self._rose_s < LATELY_S

    def _read(self) -> int | None:
        try:
            for line in self._path.read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
        except (OSError, ValueError):
            pass
        return None
