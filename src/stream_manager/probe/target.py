"""What to probe: a source as a configuration takes it, and a form of it that holds no secret."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stream_manager.config.placeholders import Expanded, Vault
from stream_manager.config.redaction import SECRET
from stream_manager.config.report import shown
from stream_manager.config.sources import SourceError, parse_source
from stream_manager.errors import UsageError
from stream_manager.pipelines.spec import FileSource, RtspSource, Source

LATENCY_MS = 200

# Up to the last @ before the path; what stands for a value is one private-use character.
_PASSWORD = re.compile(
    r"(?P<before>(?:rtsp://|[\uE000-\uF8FF])[^:/?#\s]*:)(?P<secret>[^/?#\s]*)(?=@)", re.IGNORECASE
)
_ADDRESS = re.compile(r"(?:rtsp://)?[^/?#]*", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"[\uE000-\uF8FF]")
_NOT_IN_ID = re.compile(r"[^a-z0-9_-]+")
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A source, and how it may be shown.

    text: what to write into a configuration: a placeholder for every secret. exports: the
        environment variables among those that stand for secrets which were given in the open.
    id: a name for the stream, made of what the text shows.
    """

    source: Source = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    text: str
    exports: tuple[str, ...]
    id: str


def read_target(
    url: str,
    *,
    environ: Mapping[str, str],
    directory: Path,
    transport: Literal["tcp", "udp"] | None,
) -> Target:
    """Read a source as `source = "…"` takes it; relative paths are relative to `directory`.

    Raises UsageError, which holds no secret.
    """
    problems: list[str] = []
    expanded = Vault(environ=environ, directory=directory).expand(
        url, tell=lambda found, expected: problems.append(f"found {found}, expected {expected}")
    )
    if expanded is None:
        raise UsageError("\n".join(f"the source: {problem}" for problem in problems))
    try:
        parsed = parse_source(
            expanded, directory=directory, transport=transport or "tcp", latency_ms=LATENCY_MS
        )
    except SourceError as error:
        raise UsageError(f"the source: found {shown(url)}, expected {error}") from error
    if transport is not None and not isinstance(parsed.source, RtspSource):
        raise UsageError("--transport: only RTSP has one; leave it out for another source")
    text, exports = url, tuple[str, ...]()
    if isinstance(parsed.source, RtspSource):
        text, exports = _disguised(expanded)
    elif isinstance(parsed.source, FileSource) and not expanded.names:
        text = f"file:{parsed.source.path}"  # a configuration would look beside itself
    return Target(
        source=parsed.source,
        secrets=parsed.secrets,
        text=text,
        exports=exports,
        id=_id_of(expanded),
    )


def _disguised(expanded: Expanded) -> tuple[str, tuple[str, ...]]:
    """Return the text without its open secrets, and the variables in their places."""
    variables: list[str] = []

    def hide(found: re.Match[str], name: str) -> str:
        secret = found["secret"]
        if not secret or _PLACEHOLDER.fullmatch(secret):
            return found[0]
        taken = {*variables, *(it.strip("${}") for it in expanded.names)}
        names = (name, *(f"{name}_{number}" for number in range(2, 100)))
        variable = next(it for it in names if it not in taken)
        variables.append(variable)
        return f"{found['before']}${{{variable}}}"

    marked = _PASSWORD.sub(lambda found: hide(found, "CAM_PASSWORD"), expanded.marked, count=1)
    address = _ADDRESS.match(marked)
    assert address is not None  # it matches any text
    end = address.end()
    marked = marked[:end] + SECRET.sub(lambda found: hide(found, "CAM_TOKEN"), marked[end:])
    return expanded.as_written(marked), tuple(variables)


def _id_of(expanded: Expanded) -> str:
    """Return an id from the last part of the path, else from the host; none shows a value."""
    text = _PLACEHOLDER.sub("", expanded.marked).lower()
    scheme, _, rest = text.partition(":")
    rest = re.split(r"[?#]", rest)[0]
    match scheme:
        case "test":
            name = "test"
        case "file":
            name = Path(rest).stem
        case _:
            host, _, path = rest.removeprefix("//").rpartition("@")[2].partition("/")
            last = path.rstrip("/").rpartition("/")[2]
            tells = "=" not in path and re.search("[a-z]", last)
            name = last if tells else "cam-" + re.sub(r":\d+$", "", host).strip("[]")
    return _NOT_IN_ID.sub("-", name).strip("-_")[:_LONGEST_ID] or "camera"
