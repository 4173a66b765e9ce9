"""What of a URL, or of a text that was meant as one, a message may show, and what is secret.

One rule for all: in a query every value is secret whose key is not known to be harmless, for
vendors give a password any name (loginpas, sid, code); in a path what is named as a secret is one.
"""

import re
from urllib.parse import unquote

HARMLESS = (
    "channel", "channels", "channelid", "ch", "chn", "subtype", "stream", "streamid", "streamtype",
    "streamprofile", "track", "trackid", "camera", "line", "inst", "profile", "media", "video",
    "audio", "videocodec", "audiocodec", "codec", "res", "resolution", "fps", "transport",
    "transportmode", "unicast", "multicast", "proto", "protocol", "tcp", "udp", "user", "username",
)  # fmt: skip
_HARMLESS = "|".join(HARMLESS)
_NAMED = r"[a-z]*pas{1,2}[a-z]*|[a-z]*pwd|psw|pw|[a-z]*token|auth|secret|api_?key|key|sid"
# Cameras take them in the query, and some in the path: /user=admin_password=…_channel=1
_IN_QUERY = rf"[?&;](?!(?:{_HARMLESS})=)[^=&;#?\s]*="
_IN_PATH = rf"[/_](?:{_NAMED})="
# A password may hold `_` and `=`: in a path it goes on to a key that is known, or to a separator.
SECRET = re.compile(
    rf"(?P<before>(?P<query>{_IN_QUERY})|{_IN_PATH})"
    rf"(?P<secret>(?(query)[^&#\s]*|[^/?&#\s]*?(?=[/?&#\s]|_(?:{_HARMLESS})=|$)))",
    re.IGNORECASE,
)
_PASSWORD_KEY = re.compile(r"(?:^|[^a-z])pw$|^pass|passw|pass?$|pwd|psw", re.IGNORECASE)
# Up to the last @, for a literal password may itself hold one; and whatever stands before it, for a
# URL with a slip (no scheme, one slash) holds its password no less. Only a known scheme is kept.
_USER_INFORMATION = re.compile(
    r"^(?P<scheme>(?:rtsps?|rtmps?|srt|https?):/{0,2})?.*@", re.IGNORECASE | re.DOTALL
)
# What makes a URL a wrong one may stand inside a secret: all behind its name goes, and every query.
_FROM_SECRET_ON = re.compile(
    rf"(?P<before>\?(?=.)|{_IN_QUERY}|{_IN_PATH}).*", re.IGNORECASE | re.DOTALL
)


def is_password(before: str) -> bool:
    """Tell whether what stands before a secret, as SECRET finds it, names a password."""
    return _PASSWORD_KEY.search(unquote(before[1:-1])) is not None


def redacted(text: str) -> str:
    """Return a text without a URL's user, password and query, as every message shows it."""
    # The user goes first: a password may itself read like a token that reaches beyond the @.
    without_user = _USER_INFORMATION.sub(lambda found: f"{found['scheme'] or ''}***@", text)
    return _FROM_SECRET_ON.sub(r"\g<before>***", without_user)
