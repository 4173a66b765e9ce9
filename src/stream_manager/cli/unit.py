"""The systemd unit: one text, from where things are; and the files that a first start needs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from stream_manager.errors import UsageError

NAME = "stream-manager"
MARKER = "# Written by: stream-manager install"

_PLAIN = re.compile(r"[\w@:./+,=~ %-]+")
_ASSIGNMENT = re.compile(r"^[ \t]*(?P<name>[A-Za-z_]\w*)=(?P<value>.*?)[ \t\r]*$", re.MULTILINE)
_NOTHING = frozenset({"", "''", '""'})
# What `ProtectHome=yes` and `PrivateTmp=yes` take out of a service's sight.
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - nothing is put there


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a unit and what it needs lie: for the whole machine, or for one user."""

    system: bool
    unit: Path
    config_dir: Path
    state_dir: Path
    recordings: Path
    runtime_dir: Path

    @classmethod
    def of_system(cls) -> Self:
        """Return the places that the file system hierarchy has for a service."""
        state_dir = Path("/var/lib") / NAME
        return cls(
            system=True,
            unit=Path("/etc/systemd/system") / f"{NAME}.service",
            config_dir=Path("/etc") / NAME,
            state_dir=state_dir,
            recordings=state_dir / "recordings",
            runtime_dir=Path("/run") / NAME,
        )

    @classmethod
    def of_user(cls, home: Path, runtime_dir: Path) -> Self:
        """Return the places in a user's home; the default `runtime_dir` is as good as any."""
        return cls(
            system=False,
            unit=home / ".config/systemd/user" / f"{NAME}.service",
            config_dir=home / ".config" / NAME,
            state_dir=home / ".local/state" / NAME,
            recordings=home / "Videos" / NAME,
            runtime_dir=runtime_dir,
        )

    @property
    def config(self) -> Path:
        """The configuration, where no other is named."""
        return self.config_dir / "cameras.toml"

    @property
    def secrets(self) -> Path:
        """The file of environment variables that systemd alone reads."""
        return self.config_dir / "secrets.env"


def unit(
    scope: Scope, *, program: Path, config: Path, written: list[Path], seen: list[Path]
) -> str:
    """Return the unit's text.

    written: what the service writes to, beside its state. seen: what else it must be able to read.
    Raises UsageError for a place that the service could not see.
    """
    kind = "system" if scope.system else "user"
    control = "systemctl" if scope.system else "systemctl --user"
    text = f"""\
{MARKER} --{kind}
# The next install writes this file anew. Your own changes: {control} edit {NAME}

[Unit]
Description=Live video streams, recorded and healed
StartLimitIntervalSec=0
{_after(scope)}
[Service]
Type=notify
NotifyAccess=main
ExecStart={_word(program)} run {_word(config)}
ExecReload=/bin/kill -HUP $MAINPID
EnvironmentFile=-{_word(scope.secrets)}
Restart=always
RestartSec=2
# It ends by itself where it was told to: by `stream-manager shutdown` for example.
RestartPreventExitStatus=0
# The loop of decisions itself gives the sign of life. SIGABRT then tells where it was stuck.
WatchdogSec=30
# Only the manager is told to leave; the workers record on, and the next manager takes them over.
KillMode=process
KillSignal=SIGUSR2
SuccessExitStatus=SIGUSR2
TimeoutStopSec=15
# A worker that is killed for its memory is one stream's trouble, and healed by the manager.
OOMPolicy=continue
LimitNOFILE=65536
UMask=0077
RuntimeDirectory={NAME}
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
"""
    if scope.system:
        text += _account() + _sight(written, [program, config, *seen])
    return f"""\
{text}
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy={"multi-user.target" if scope.system else "default.target"}
"""


def _after(scope: Scope) -> str:
    # A user's manager knows no targets of the system's.
    if not scope.system:
        return ""
    return "Wants=network-online.target\nAfter=network-online.target remote-fs.target\n"


def _account() -> str:
    return f"""\
User={NAME}
Group={NAME}
SupplementaryGroups=video
StateDirectory={NAME}
StateDirectoryMode=0700
"""


def _sight(written: list[Path], seen: list[Path]) -> str:
    for path in (*written, *seen):
        if any(map(path.is_relative_to, _TEMPORARY)):
            raise UsageError(
                f"{path} is in a directory for temporary files, of which a service has its own:"
                " move it elsewhere"
            )
    at_home = any(path.is_relative_to(home) for path in (*written, *seen) for home in _HOMES)
    # "-": a volume that is not there when the service starts must not keep the others from it.
    writable = "".join(f"ReadWritePaths={_word(path, '-')}\n" for path in written)
    return f"""\

ProtectSystem=strict
{writable}ProtectHome={"read-only" if at_home else "yes"}
PrivateTmp=yes
DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-drm rw
ProtectProc=invisible
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
CapabilityBoundingSet=
KeyringMode=private
RemoveIPC=yes"""


def _word(path: Path, prefix: str = "") -> str:
    """Return a path as one word of a unit; raises UsageError for characters that change others."""
    text = str(path)
    if not _PLAIN.fullmatch(text):
        raise UsageError(f"{path} can't stand in a unit: rename it without quotes and signs")
    word = prefix + text.replace("%", "%%")
    return f'"{word}"' if " " in word else word


def first_config(scope: Scope) -> str:
    """Return a configuration without cameras yet, which `run` takes as it is."""
    control = "systemctl" if scope.system else "systemctl --user"
    return f"""\
# Put your cameras in below, then: {control} reload {NAME}
# Every key with its default is in docs/configuration.md.

[manager]
state_dir = "{scope.state_dir}"
runtime_dir = "{scope.runtime_dir}"

[[volumes]]
id = "main"
path = "{scope.recordings}"

# [[streams]]
# id = "front-door"
# source = "rtsp://viewer:${{CAM_PASSWORD}}@192.168.1.20:554/stream1"
# record = {{ volumes = ["main"] }}
"""


def first_secrets(scope: Scope, config: Path, variables: Sequence[str]) -> str:
    """Return a file of variables without any; the `variables` that `config` takes are prepared."""
    control = "systemctl" if scope.system else "systemctl --user"
    prepared = "".join(f"# {name}='…'\n" for name in variables or ("CAM_PASSWORD",))
    return f"""\
# What ${{NAME}} stands for in {config}, one NAME='VALUE' a line.
# systemd alone reads this file; after a change: {control} restart {NAME}
{prepared}"""


def names_in(secrets: str) -> set[str]:
    """Return the variables that a file of systemd's has a value for."""
    return {
        found["name"] for found in _ASSIGNMENT.finditer(secrets) if found["value"] not in _NOTHING
    }
