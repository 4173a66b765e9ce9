"""Keeps web pages from commanding the manager through the browser of whoever reads them."""

import ipaddress
import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"(?P<name>\[[^\]]*\]|[^:\[\]]*)(?::\d+)?")


class Guard:
    """Refuses, with 403, what a browser could be tricked into sending.

    A Host that is not loopback (a name that an attacker has pointed at 127.0.0.1), and any POST
    that names the web page it comes from. The Unix socket is guarded by its file's mode.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an objectionable request here, and pass any other on."""
        if scope["type"] == "http" and (reason := _objection(scope)):
            await JSONResponse({"detail": reason}, 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _objection(scope: Scope) -> str | None:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    by_tcp = scope["client"] is not None
    if by_tcp and not is_loopback(host):
        return f'Host "{host}" is not this machine; ask for 127.0.0.1 or localhost'
    if scope["method"] == "POST" and b"origin" in headers:
        return "commands are not taken from web pages"
    return None


def is_loopback(host: str) -> bool:
    """Tell whether a Host header (name or address, perhaps a port) means this machine only."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match["name"].strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost"
