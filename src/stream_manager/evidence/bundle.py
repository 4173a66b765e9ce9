"""An incident as one archive, to be sent to somebody."""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from stream_manager.evidence.gathering import GRAPH
from stream_manager.evidence.shelf import Case

DRAWN_WITHIN_S = 20.0


def write_bundle(case: Case, path: Path, texts: Mapping[str, str]) -> list[str]:
    """Write the incident's files and `texts`, by name, into a new tar.gz; return their names.

    Each graph is drawn as SVG, too, where Graphviz is installed. Raises OSError;
    FileExistsError where there is something already.
    """
    files = {**{name: text.encode() for name, text in texts.items()}, **dict(_files(case))}
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"incident-{case.number}/{name}")
                member.size, member.mode = len(content), 0o600
                member.mtime = int(case.first.at.timestamp())
                archive.addfile(member, io.BytesIO(content))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return list(files)


def _files(case: Case) -> Iterator[tuple[str, bytes]]:
    for kept, folder in case.findings:
        for file in sorted(folder.iterdir()):
            name, content = f"{kept.seq}/{file.name}", file.read_bytes()
            yield name, content
            if file.suffix == GRAPH and (svg := _drawn(content)):
                yield f"{name.removesuffix(GRAPH)}.svg", svg


def _drawn(dot: bytes) -> bytes:
    """Return a graph as SVG, or nothing where Graphviz is missing or can't draw it."""
    program = shutil.which("dot")
    if program is None:
        return b""
    try:
        drawn = subprocess.run(  # noqa: S603 - a program of the system's, and a graph of our own
            [program, "-Tsvg"], input=dot, capture_output=True, timeout=DRAWN_WITHIN_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return b""
    return drawn.stdout
