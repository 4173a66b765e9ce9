"""From a file to settings: every table by itself, then what they mean together, all errors told."""

import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stream_manager.config import lines, places
from stream_manager.config.placeholders import Vault, variables
from stream_manager.config.policies import limits_of, policy_of
from stream_manager.config.problems import ConfigurationError, ConfigurationErrors
from stream_manager.config.report import Report
from stream_manager.config.settings import Configuration, ManagerSettings, Volume
from stream_manager.config.streams import StreamReader
from stream_manager.config.tables import (
    Document,
    ManagerTable,
    RecoveryTable,
    StreamTable,
    VolumeTable,
)
from stream_manager.recovery.policy import RecoveryPolicy


def load(path: Path, environ: Mapping[str, str], *, by_manager: bool = False) -> Configuration:
    """Read and judge a whole configuration; nothing is started or created.

    Relative paths in it are relative to its directory. by_manager: a running manager reads it
    again, for whom no sudo in a command helps. Raises ConfigurationErrors with all errors.
    """
    values, report = _open(path, by_manager=by_manager)
    document = report.read(Document, values, ())
    directory = path.absolute().parent
    manager = _manager(document, directory, environ, report)
    _judge_directories(manager, report)
    volumes = _volumes(document, directory, report)
    general = report.read(RecoveryTable, document.recovery, ("recovery",))
    policy_of(general, own=frozenset(general.model_fields_set), path=("recovery",), report=report)
    limits_of(general, path=("recovery",), report=report)
    reader = StreamReader(
        vault=Vault(environ=environ, directory=directory),
        volumes=volumes,
        general=general,
        report=report,
    )
    if not report.has(("streams",)):
        report.warn(("streams",), "nothing", "at least one [[streams]] table")
    streams = [
        reader.read(table, at)
        for at, table in report.read_each(StreamTable, document.streams, ("streams",))
    ]
    _raise_errors(report)
    return Configuration(
        manager=manager,
        streams=tuple(stream for stream in streams if stream),
        volumes=tuple(volume for volume in volumes.values() if volume),
        warnings=tuple(sorted(report.warnings)),
    )


def load_manager(path: Path, environ: Mapping[str, str]) -> ManagerSettings:
    """Read `[manager]` alone, for clients: no camera's password and no directory is needed.

    Raises ConfigurationErrors.
    """
    document, report = _open_some(path, "manager")
    manager = _manager(document, path.absolute().parent, environ, report)
    _raise_errors(report)
    return manager


def load_directories(
    path: Path, environ: Mapping[str, str]
) -> tuple[ManagerSettings, tuple[Volume, ...]]:
    """Read where a configuration keeps things; no camera's password is needed.

    Raises ConfigurationErrors.
    """
    document, report = _open_some(path, "manager", "volumes")
    directory = path.absolute().parent
    manager = _manager(document, directory, environ, report)
    volumes = _volumes(document, directory, report)
    _raise_errors(report)
    return manager, tuple(volume for volume in volumes.values() if volume)


def load_variables(path: Path) -> tuple[str, ...]:
    """Return the environment variables that a configuration's streams take, each once, in order.

    Raises ConfigurationErrors where the file can't be read at all.
    """
    streams = list(_tables(_open(path)[0], "streams"))
    outputs = [output for stream in streams for output in _tables(stream, "outputs")]
    texts = [str(it.get(key, "")) for it in streams + outputs for key in ("source", "pipeline")]
    return tuple(dict.fromkeys(name for text in texts for name in variables(text)))


def _tables(values: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """Yield the tables of an array of them, as far as it is one."""
    items = values.get(key)
    if isinstance(items, list):
        yield from (it for it in items if isinstance(it, dict))


def place_of(path: Path, *key: str) -> str:
    """Return where a key stands in a file that was read before, like "cameras.toml:3"."""
    try:
        line = _open(path)[1].line(key)
    except ConfigurationErrors:
        line = 0  # it was changed since
    return f"{path}:{line}" if line else str(path)


def load_policy(path: Path) -> tuple[RecoveryPolicy, tuple[ConfigurationError, ...]]:
    """Read the keys of `[recovery]` alone, and the warnings about them.

    A file without that table may hold its keys at the top. Raises ConfigurationErrors.
    """
    values, report = _open(path)
    at: lines.KeyPath = ("recovery",) if "recovery" in values else ()
    if at:
        values = report.read(Document, {"recovery": values["recovery"]}, ()).recovery
    table = report.read(RecoveryTable, values, at)
    policy = policy_of(table, own=frozenset(table.model_fields_set), path=at, report=report)
    _raise_errors(report)
    assert policy is not None  # without an error there is one
    return policy, tuple(sorted(report.warnings))


def _open_some(path: Path, *keys: str) -> tuple[Document, Report]:
    """Read some tables of a file as if there were no others."""
    values, report = _open(path)
    some = {key: value for key, value in values.items() if key in keys}
    return report.read(Document, some, ()), report


def _open(path: Path, *, by_manager: bool = False) -> tuple[dict[str, Any], Report]:
    file = str(path)
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _unreadable(file, line, "bytes that are not UTF-8", "text in UTF-8") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        expected = "a TOML file that can be read"
        if isinstance(error, PermissionError):
            reason += _owner(path)
            expected = "one that can be read: run this with sudo, or as that user"
            if by_manager:
                us = os.geteuid()
                expected = f"one that the manager (user {_name(us) or us}) can read: chown or chmod"
        raise _unreadable(file, 0, reason, expected) from error
    try:
        values, where = lines.parse(text)
    except lines.TomlSyntaxError as error:
        raise _unreadable(file, error.line, f"a syntax error ({error})", "TOML") from error
    return values, Report(file, where)


def _owner(path: Path) -> str:
    """Tell whose a file is that was refused, or the directory that hides it."""
    for place in (path, *path.absolute().parents):
        try:
            found = place.stat()
        except OSError:
            continue
        owner = _name(found.st_uid) or f"user {found.st_uid}"
        what = "it" if place is path else str(place)
        return f" ({what} belongs to {owner}, mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def _name(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def _unreadable(file: str, line: int, found: str, expected: str) -> ConfigurationErrors:
    error = ConfigurationError(line=line, file=file, key="", found=found, expected=expected)
    return ConfigurationErrors((error,))


def _raise_errors(report: Report) -> None:
    if report.errors:
        raise ConfigurationErrors(tuple(sorted(report.errors)))


def _manager(
    document: Document, directory: Path, environ: Mapping[str, str], report: Report
) -> ManagerSettings:
    table = report.read(ManagerTable, document.manager, ("manager",))
    return ManagerSettings(
        state_dir=_resolved(directory, table.state_dir),
        runtime_dir=(
            places.default_runtime_dir(environ)
            if table.runtime_dir is None
            else _resolved(directory, table.runtime_dir)
        ),
        listen=table.listen,
        orphan_grace_s=table.orphan_grace,
    )


def _judge_directories(manager: ManagerSettings, report: Report) -> None:
    for key, directory in (("state_dir", manager.state_dir), ("runtime_dir", manager.runtime_dir)):
        at: lines.KeyPath = ("manager", key)
        if not report.is_wrong(at):
            _judge_directory(at, directory, report)
        if not report.is_wrong(at) and (risk := places.exposure(directory)):
            report.error(
                at,
                f"{directory}, {risk}",
                f"a directory of user {os.geteuid()} that nobody else can write (chown, chmod)",
            )


def _judge_directory(at: lines.KeyPath, directory: Path, report: Report) -> None:
    if trouble := places.trouble(directory):
        report.error(at, f"{directory}, but {trouble}", "a directory to write in")


def _volumes(document: Document, directory: Path, report: Report) -> dict[str, Volume | None]:
    volumes: dict[str, Volume | None] = {}
    for at, table in report.read_each(VolumeTable, document.volumes, ("volumes",)):
        report.require((*at, "path"), "a path")
        path = _resolved(directory, table.path)
        if table.path:
            _judge_directory((*at, "path"), path, report)
        if table.id:
            volumes[table.id] = Volume(id=table.id, path=path) if table.path else None
    return volumes


def _resolved(directory: Path, path: str) -> Path:
    return Path(os.path.abspath(directory / path))  # noqa: PTH100 - resolve() would follow symlinks
