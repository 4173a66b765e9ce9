"""The service's own user: made when missing, and asked what it can do."""

import grp
import pwd
import shutil
import subprocess
from pathlib import Path

from stream_manager.cli.unit import NAME
from stream_manager.errors import OutsideError
from stream_manager.recovery import exit_fault

GROUP = "video"  # cameras of this machine, and processors that decode
ANSWER_WITHIN_S = 60.0
_PACKAGES = {"useradd": "passwd", "usermod": "passwd", "runuser": "util-linux"}
# What runuser(1) says where it became the user, and the command could not be executed. It ends with
# 126 or 127 then, or with 1, by its version.
_NOT_EXECUTED = "runuser: failed to execute "


class Account:
    """A system user that owns nothing but what it records. All of this takes root."""

    def make(self) -> str:
        """Make the user, or put it into the group; return what was done. Raises OutsideError."""
        try:
            members = grp.getgrnam(GROUP).gr_mem
        except KeyError as error:
            raise OutsideError(f"there is no group {GROUP}: groupadd --system {GROUP}") from error
        try:
            pwd.getpwnam(NAME)
        except KeyError:
            _done(
                *("/usr/sbin/useradd", "--system", "--user-group", "--groups", GROUP),
                *("--home-dir", f"/var/lib/{NAME}", "--no-create-home"),
                *("--shell", "/usr/sbin/nologin", "--comment", "live video streams", NAME),
            )
            return f"made the system user {NAME}, in the group {GROUP}"
        if NAME not in members:
            _done("/usr/sbin/usermod", "--append", "--groups", GROUP, NAME)
            return f"put the user {NAME} into the group {GROUP}"
        return f"kept the user {NAME}"

    def can(self, *command: str | Path) -> bool:
        """Tell whether a command succeeds as that user; raises OutsideError if nobody can tell."""
        as_user = ("/usr/sbin/runuser", "-u", NAME, "--", *map(str, command))
        ended = _run(*as_user)
        said = ended.stderr.strip()
        not_executed = said.startswith(_NOT_EXECUTED)
        if ended.returncode != 0 and said.startswith("runuser:") and not not_executed:
            raise OutsideError(f"{' '.join(as_user)} failed: {said}")
        return ended.returncode == 0

    def own(self, path: Path) -> None:
        """Give the user a file or a directory."""
        shutil.chown(path, NAME, NAME)

    def may_read(self, path: Path) -> None:
        """Let the user read a file of root's, and nobody else."""
        shutil.chown(path, "root", NAME)
        path.chmod(0o640)


def _done(*command: str) -> None:
    ended = _run(*command)
    if ended.returncode != 0:
        said = ended.stderr.strip() or exit_fault(ended.returncode).text
        raise OutsideError(f"{' '.join(command)} failed: {said}")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one of the system's own programs; raises OutsideError if it does not run or end."""
    try:
        return subprocess.run(  # noqa: S603 - no shell, and every word is ours
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=ANSWER_WITHIN_S,
        )
    except FileNotFoundError as error:
        package = _PACKAGES[Path(command[0]).name]
        raise OutsideError(f"{command[0]} is not there: apt-get install {package}") from error
    except OSError as error:
        raise OutsideError(f"{command[0]} can't be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise OutsideError(
            f"{' '.join(command)} did not end within {ANSWER_WITHIN_S:g} s"
        ) from error
