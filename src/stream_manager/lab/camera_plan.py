"""What a camera's process is told when it starts, as one line of JSON on its stdin.

After that come lines of these verbs: `begin ORDER` and `end NAME` switch a fault, `still ORDER`
switches one that was on already when the camera came back, `prepare ORDER` lets it encode ahead,
`listen` opens the door, and `sync NUMBER` is answered when all before it is done.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

from stream_manager.errors import UsageError
from stream_manager.lab.picture import Picture

Auth = Literal["basic", "digest"]
AUTHS: Mapping[str, Auth] = {"basic": "basic", "digest": "digest"}

SYNCED = "synced"


def auth_of(text: str) -> Auth:
    """Return the manner of asking for a password that a text names; or raise `UsageError`."""
    if text not in AUTHS:
        raise UsageError(f"--auth {text}: expected {' or '.join(AUTHS)}")
    return AUTHS[text]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything about one camera. `board` is a descriptor that its process inherits."""

    mounts: tuple[str, ...]
    bind: str
    port: int
    clip: Path | None
    picture: Picture
    user: str | None
    password: str | None
    auth: Auth
    board: int
    first_viewer: int = 1

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Return what `to_json` wrote."""
        told = json.loads(line)
        told["mounts"] = tuple(told["mounts"])
        told["clip"] = None if told["clip"] is None else Path(told["clip"])
        told["picture"] = Picture(**told["picture"])
        return cls(**told)
