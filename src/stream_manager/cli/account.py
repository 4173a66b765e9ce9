"""The service's own user: made when missing, and asked what it can do."""

import grp
import pwd
import shutil
import subprocess
from pathlib import Path

from stream_manager.cli.unit import NAME
from stream_manager.errors import OutsideError

GROUP = "video"  # cameras of this machine, and processors that decode
ANSWER_WITHIN_S = 60.0


class Account:
    """A system user that owns nothing but what it records. All of this takes root."""

    def make(self) -> str:
        """Make the user, or put it into the group; return what was done."""
        try:
            pwd.getpwnam(NAME)
        except KeyError:
            _run(
                *("/usr/sbin/useradd", "--system", "--user-group", "--groups", GROUP),
                *("--home-dir", f"/var/lib/{NAME}", "--no-create-home"),
                *("--shell", "/usr/sbin/nologin", "--comment", "live video streams", NAME),
            )
            return f"made the system user {NAME}, in the group {GROUP}"
        if NAME not in grp.getgrnam(GROUP).gr_mem:
            _run("/usr/sbin/usermod", "--append", "--groups", GROUP, NAME)
            return f"put the user {NAME} into the group {GROUP}"
        return f"kept the user {NAME}"

    def can(self, *command: str | Path) -> bool:
        """Tell whether a command succeeds as that user."""
        as_user = ["/usr/sbin/runuser", "-u", NAME, "--", *command]
        done = subprocess.run(  # noqa: S603 - test(1) or our own program
            as_user, cwd="/", capture_output=True, check=False, timeout=ANSWER_WITHIN_S
        )
        return done.returncode == 0

    def own(self, path: Path) -> None:
        """Give the user a file or a directory."""
        shutil.chown(path, NAME, NAME)

    def may_read(self, path: Path) -> None:
        """Let the user read a file of root's, and nobody else."""
        shutil.chown(path, "root", NAME)
        path.chmod(0o640)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    except FileNotFoundError as error:
        raise OutsideError(f"{command[0]} is not there: apt-get install passwd") from error
    except subprocess.CalledProcessError as error:
        raise OutsideError(f"{' '.join(command)} failed: {error.stderr.strip()}") from error
