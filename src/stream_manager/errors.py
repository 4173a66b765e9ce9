"""One root error in three branches: who has to act is told by the class."""


class StreamManagerError(Exception):
    """Root of everything that this package raises on purpose."""


class UsageError(StreamManagerError):
    """The caller or the configuration asked for something impossible; nothing was changed."""


class OutsideError(StreamManagerError):
    """Something outside failed (a process, a disk, a socket); what ran before still runs."""


class InvariantError(StreamManagerError):
    """Our own logic broke; the state is as before the call. A bug to report, never to retry."""
