"""What a configuration means: the values that the rest of the program is started with."""

from dataclasses import dataclass, field
from pathlib import Path

from stream_manager.config.problems import ConfigurationError
from stream_manager.pipelines.spec import StreamSpec
from stream_manager.recovery.policy import RecoveryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSettings:
    """Where the manager keeps its state and its sockets (absolute, perhaps not there yet).

    `listen` is the loopback host and port of the API on TCP; None leaves the Unix socket alone.
    `orphan_grace_s` is how long workers run without any manager; None: for ever.
    """

    state_dir: Path
    runtime_dir: Path
    listen: tuple[str, int] | None
    orphan_grace_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A place for recordings: `path` is absolute, perhaps not there yet."""

    id: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much memory a stream's worker may take; None is as much as it likes.

    memory_bytes: where it is ended. restart_above_bytes: from where on it is restarted, on its own
    terms. Raises ValueError, naming the field and its value, where one makes the other vain.
    """

    memory_bytes: int | None = None
    restart_above_bytes: int | None = None

    def __post_init__(self) -> None:
        memory_bytes, above_bytes = self.memory_bytes, self.restart_above_bytes
        for name, value in (("memory_bytes", memory_bytes), ("restart_above_bytes", above_bytes)):
            if value is not None and value <= 0:
                raise ValueError(f"{name} is {value}: expected a size above 0")
        if memory_bytes is not None and above_bytes is not None and above_bytes >= memory_bytes:
            raise ValueError(
                f"restart_above_bytes is {above_bytes}: expected less than memory_bytes"
                f" ({memory_bytes})"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """One stream: what to run, and how to heal it.

    `stall_after_s` is None where the threshold is learned. `digest` names everything that defines
    the stream, in 16 hexadecimal digits: another digest is another stream under the same id.
    `volume` is the id of the one it is recorded to; `depends_on` are domains that the user names.
    `makes_before_break`: whether a worker's successor is brought up before it is replaced.
    """

    spec: StreamSpec = field(repr=False)  # its source holds the password
    policy: RecoveryPolicy
    stall_after_s: float | None
    digest: str
    volume: str | None = None
    depends_on: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    makes_before_break: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A whole valid file; `streams` and `volumes` in the file's order, `warnings` by line."""

    manager: ManagerSettings
    streams: tuple[StreamSettings, ...]
    volumes: tuple[Volume, ...]
    warnings: tuple[ConfigurationError, ...]
