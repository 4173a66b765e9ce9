"""Taking secrets out of texts, on both sides of the worker's socket."""

import re
from collections.abc import Iterable
from urllib.parse import quote

_USER_INFO = re.compile(r"//[^/@\s]+@")
_AUTHORIZATION = re.compile(r"(authorization: *\w+ ).+", re.IGNORECASE)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without `secrets`, plain or percent-encoded, in URLs and in requests."""
    for secret in secrets:
        for form in {secret, quote(secret, safe="")} - {""}:
            text = text.replace(form, "***")
    return _AUTHORIZATION.sub(r"\1***", _USER_INFO.sub("//***@", text))
