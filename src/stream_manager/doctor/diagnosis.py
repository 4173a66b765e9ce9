"""All checks, in the order in which they are told."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stream_manager.doctor import kernel, media, python, timekeeping
from stream_manager.doctor.finding import Finding, problem, unknown

if TYPE_CHECKING:
    from stream_manager.config import ConfigurationError, ManagerSettings, Volume

# By its name: what to look at. A check may raise OSError or ImportError, which reads "unknown".
Check = tuple[str, Callable[[], Iterable[Finding]]]

# What a configuration's own errors tell is told better by looking at the directory itself.
_TOLD_BY_PLACES = ("manager.state_dir", "manager.runtime_dir")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What `--config` names: `streams` is None where it has errors, which `findings` tell."""

    manager: "ManagerSettings"
    volumes: "tuple[Volume, ...]"
    streams: int | None
    findings: tuple[Finding, ...]


def diagnose(config: Path | None, environ: Mapping[str, str]) -> list[Finding]:
    """Look at everything. Raises ConfigurationErrors for a file that is no configuration."""
    configured = None if config is None else _read(config, environ)
    findings = [] if configured is None else list(configured.findings)
    for name, check in (*_machine(configured), *_places(configured, environ)):
        findings += _guarded(name, check)
    return findings


def _machine(configured: Configured | None) -> Iterator[Check]:
    streams = configured.streams if configured else None
    yield "GStreamer", media.gstreamer
    yield "ffmpeg", media.ffmpeg
    yield "Python", python.packages
    yield "kernel", kernel.processes
    yield "open files", partial(kernel.open_files, streams)
    yield "pressure", kernel.pressure
    yield "cgroups", kernel.cgroups
    yield "clock", timekeeping.clock


def _places(configured: Configured | None, environ: Mapping[str, str]) -> Iterator[Check]:
    yield "runtime_dir", partial(_runtime_directory, configured, environ)
    if configured is None:
        return
    from stream_manager.doctor import places  # noqa: PLC0415 - with --config pydantic is there

    yield "state_dir", partial(places.state_directory, configured.manager.state_dir)
    for volume in configured.volumes:
        yield f"volume {volume.id}", partial(places.volume, volume.id, volume.path)


def _runtime_directory(
    configured: Configured | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    from stream_manager.config import default_runtime_dir  # noqa: PLC0415 - pydantic may be missing
    from stream_manager.doctor import places  # noqa: PLC0415 - the same

    configured_dir = configured.manager.runtime_dir if configured else None
    return places.runtime_directory(configured_dir or default_runtime_dir(environ))


def _guarded(name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except (OSError, ImportError) as error:
        mend = "look again as the user that the manager runs as"
        return [unknown(name, f"can't be found out: {error}", mend)]


def _read(config: Path, environ: Mapping[str, str]) -> Configured:
    from stream_manager.config import (  # noqa: PLC0415 - pydantic may be missing
        ConfigurationErrors,
        load,
        load_directories,
        load_manager,
    )

    manager = load_manager(config, environ)
    try:
        whole = load(config, environ)
    except ConfigurationErrors as wrong:
        findings = tuple(
            _wrong(error, config) for error in wrong.errors if error.key not in _TOLD_BY_PLACES
        )
    else:
        return Configured(
            manager=manager, volumes=whole.volumes, streams=len(whole.streams), findings=()
        )
    try:
        _, volumes = load_directories(config, environ)
    except ConfigurationErrors:
        volumes = ()  # what is wrong with them is among the findings
    return Configured(manager=manager, volumes=volumes, streams=None, findings=findings)


def _wrong(error: "ConfigurationError", config: Path) -> Finding:
    if error.lacks_variable:
        # A secret of the service's is rightly not in everybody's environment.
        found = f"{error}, which the service's own environment may have"
        return unknown("configuration", found, "look again with the service's EnvironmentFile")
    return problem("configuration", str(error), f"stream-manager check {shlex.quote(str(config))}")
