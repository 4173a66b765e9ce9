"""What of a URL, or of a text that was meant as one, a message may show, and what is secret."""

import re

# Cameras take them in the query, and some in the path: /user=admin_password=…_channel=1
_ITS_NAME = r"[?&;_/](?:password|passwd|passcode|pass|pwd|pw|token|auth|secret|api_?key|key)="
TOKEN = re.compile(
    rf"(?P<before>{_ITS_NAME})(?P<secret>[^&;#\s]*?)(?=[&;#]|_[a-z]+=|$)", re.IGNORECASE
)
# Up to the last @, for a literal password may itself hold one; and whatever stands before it, for a
# URL with a slip (no scheme, one slash) holds its password no less. Only a known scheme is kept.
_USER_INFORMATION = re.compile(
    r"^(?P<scheme>(?:rtsps?|rtmps?|srt|https?):/{0,2})?.*@", re.IGNORECASE | re.DOTALL
)
# A query may hold a secret under any name, and what makes the URL a wrong one may stand inside it:
# all of it goes, and all behind a token in the path.
_FROM_SECRET_ON = re.compile(rf"(?P<before>\?(?=.)|{_ITS_NAME}).*", re.IGNORECASE | re.DOTALL)


def redacted(text: str) -> str:
    """Return a text without a URL's user, password and query, as every message shows it."""
    # The user goes first: a password may itself read like a token that reaches beyond the @.
    without_user = _USER_INFORMATION.sub(lambda found: f"{found['scheme'] or ''}***@", text)
    return _FROM_SECRET_ON.sub(r"\g<before>***", without_user)
