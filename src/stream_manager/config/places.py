"""Whether directories can be used, found out without making any."""

import errno
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

# A full disk may have room again by the time something is recorded; nothing is refused for it.
FULL = {errno.ENOSPC, errno.EDQUOT}


def default_runtime_dir(environ: Mapping[str, str]) -> Path:
    """Return where sockets are kept if nothing else is configured."""
    if made := environ.get("RUNTIME_DIRECTORY", ""):  # by systemd, for our unit alone
        return Path(made)
    user_runtime = environ.get("XDG_RUNTIME_DIR", "")
    if user_runtime.startswith("/"):  # the XDG specification has others ignored
        return Path(user_runtime) / "stream-manager"
    if os.geteuid() == 0:
        return Path("/run/stream-manager")
    return Path(f"/tmp/stream-manager-{os.geteuid()}")  # noqa: S108 - refused unless it is ours


def trouble(directory: Path) -> str | None:
    """Say which place keeps the directory from being written or made, or return None."""
    nearest = directory
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"{nearest} is no directory"
    try:
        # Permissions are no proof: root may "write" /proc. A file without a name leaves nothing.
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        if error.errno not in FULL:
            return f"{nearest} can't be written ({error.strerror})"
    return None


def exposure(directory: Path) -> str | None:
    """Say how others could put files there, or return None; one that is not there yet is safe.

    The manager refuses such a directory when it locks it; here that is told before it starts.
    """
    try:
        found = directory.lstat()
    except OSError:
        return None
    if stat.S_ISLNK(found.st_mode):
        return "a symbolic link, which may lead anywhere"
    if found.st_uid != os.geteuid():
        return f"which belongs to user {found.st_uid}"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"which other users can write (mode {stat.S_IMODE(found.st_mode):o})"
    return None
