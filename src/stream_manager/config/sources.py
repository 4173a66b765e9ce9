"""What `source = "…"` and `pipeline = "…"` mean: a Source of the spec, and what to keep secret."""

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from stream_manager.config.placeholders import Expanded, is_printable, to_scrub
from stream_manager.config.redaction import SECRET, is_password
from stream_manager.pipelines.spec import (
    FileSource,
    PipelineSource,
    RtspSource,
    Source,
    TestSource,
)

EXPECTED = 'an "rtsp://" URL, "file:PATH" or "test:"'
_EXPECTED_RTSP = (
    '"rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH", with a #, /, ? or space of a literal password '
    "written %23, %2F, %3F or %20"
)
_EXPECTED_ENCODED = (
    "a / or ? of a password written %2F or %3F, or, where HOST:PORT is meant, the @ behind it"
    " written %40"
)
_LATER_SCHEMES = frozenset({"rtmp", "rtmps", "rtsps", "srt", "http", "https", "v4l2"})
# urlsplit is not asked: some versions of it refuse what stands for a value inside [brackets].
_RTSP = re.compile(r"rtsp://(?P<authority>[^/?#\s]*)(?P<resource>[^#\s]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:[\w.-]+|\[(?P<ipv6>[^\]]+)\])(?::(?P<port>[0-9]{1,5}))?")
_USER_OR_HOST = re.compile(r"[^@:\[\]]+:[0-9]+")
_PASSWORD_IN_URL = re.compile(r"://[^\s:@/]*:([^\s@/]+)@")
_RESOURCE_IN_URL = re.compile(r"""://[^\s"'/?]*([/?][^\s"']*)""")
_PASSWORD_PROPERTY = re.compile(
    r"""\b(?:user-pw|proxy-pw|password|passphrase)\s*=\s*("(?:\\.|[^"\\])*"|(?:\\.|[^\s\\])+)"""
)

Transport = Literal["tcp", "udp"]


class SourceError(Exception):
    """The text names no source of this version; the message is what was expected, no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedSource:
    """A source and the texts that must be scrubbed from everything said about it."""

    source: Source
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A bin description, and the texts in it that must be scrubbed from all that is said."""

    text: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def parse_source(
    text: Expanded,
    *,
    directory: Path,
    transport: Transport,
    latency_ms: int,
) -> ParsedSource:
    """Read a source string; `file:` paths are relative to `directory`. Raises SourceError."""
    if text.values and text.starts_with_value():
        # `${CAM_URL}` or `${BASE}/door`: what the source is stands in the value.
        text = text.with_first_in_place()
    scheme, colon, rest = text.marked.partition(":")
    scheme = scheme.lower()
    if scheme in _LATER_SCHEMES:
        raise SourceError(f"{EXPECTED}: {scheme} is not in this version")
    if colon and scheme == "rtsp":
        return _rtsp(text, transport=transport, latency_ms=latency_ms)
    if colon and scheme == "file":
        path = _file_path(text, rest, directory)
        return ParsedSource(source=FileSource(path=path), secrets=to_scrub(text.values))
    if colon and scheme == "test" and not rest:
        return ParsedSource(source=TestSource(), secrets=())
    raise SourceError(EXPECTED)


def parse_pipeline(text: Expanded) -> ParsedSource:
    """Read a bin description as a source. Raises SourceError if empty."""
    read = parse_description(text)
    return ParsedSource(source=PipelineSource(description=read.text), secrets=read.secrets)


def parse_description(text: Expanded) -> Description:
    """Read a bin description; its syntax is GStreamer's to judge. Raises SourceError if empty."""
    if not text.marked.strip():
        raise SourceError("a GStreamer bin description")
    description = text.in_pipeline()
    passwords = [
        found.strip('"')
        for pattern in (_PASSWORD_IN_URL, _PASSWORD_PROPERTY)
        for found in pattern.findall(description)
    ]
    tokens: list[str] = []
    for resource in _RESOURCE_IN_URL.findall(description):
        for token in SECRET.finditer(resource):
            kind = passwords if is_password(token["before"]) else tokens
            kind.extend((token["secret"], unquote(token["secret"])))
    return Description(
        text=description, secrets=to_scrub((*text.values, *tokens), passwords=passwords)
    )


def _rtsp(text: Expanded, *, transport: Transport, latency_ms: int) -> ParsedSource:
    if not (parts := _RTSP.fullmatch(text.marked)):
        raise SourceError(_EXPECTED_RTSP)
    if "@" in parts["resource"] and _USER_OR_HOST.fullmatch(parts["authority"]):
        # rtsp://user:12/34@host: HOST:PORT to a parser, and most likely half a password.
        raise SourceError(_EXPECTED_ENCODED)
    userinfo, at, host = parts["authority"].rpartition("@")
    host = text.raw(host)
    user, colon, as_written = userinfo.partition(":")
    password = text.decoded(as_written)
    if not (_is_host(host) and is_printable(text.decoded(userinfo))):
        raise SourceError(_EXPECTED_RTSP)
    source = RtspSource(
        url=f"rtsp://{host}{text.quoted(parts['resource'])}",
        user=text.decoded(user) if at else None,
        password=password if colon else None,
        transport=transport,
        latency_ms=latency_ms,
    )
    passwords, tokens = [password], list(text.values)
    for found in SECRET.finditer(parts["resource"]):
        kind = passwords if is_password(found["before"]) else tokens
        kind.extend(form(found["secret"]) for form in (text.decoded, text.quoted))
    secrets = to_scrub(tokens, passwords=passwords, as_written=text.quoted(as_written))
    return ParsedSource(source=source, secrets=secrets)


def _is_host(host_and_port: str) -> bool:
    found = _HOST.fullmatch(host_and_port)
    if not found or (found["port"] and not 1 <= int(found["port"]) <= 65535):
        return False
    try:
        IPv6Address(found["ipv6"] or "::")
    except ValueError:
        return False
    return True


def _file_path(text: Expanded, rest: str, directory: Path) -> str:
    path = text.raw(rest)
    if rest.startswith("//"):
        authority, slash, rest = rest[2:].partition("/")
        path = text.decoded(slash + rest) if authority in ("", "localhost") else ""
    if not path or not is_printable(path):
        raise SourceError('"file:PATH" or "file:///PATH"')
    return str(directory / path)
