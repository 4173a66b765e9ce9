"""Clips that are encoded while the camera goes on sending: in a process of its own, at a low rank.

Read `encode` for the caller's side; the process is `python -m stream_manager.lab.encoder`.
"""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict

from stream_manager.errors import OutsideError, UsageError
from stream_manager.lab.media import Clip
from stream_manager.lab.picture import Picture

TIMEOUT_S = 120.0
NICENESS = 10


def encode(picture: Picture, codec: str) -> Clip:
    """Return the generated picture in a codec; blocks as long as that takes.

    Raises `OutsideError` if this machine can't do it.
    """
    order = json.dumps({"codec": codec, **asdict(picture)})
    try:
        done = subprocess.run(  # noqa: S603 - our own module, with our own order
            [sys.executable, "-m", "stream_manager.lab.encoder", order],
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OutsideError(f"{codec}: not encoded within {TIMEOUT_S:g} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise OutsideError(f"{codec}: not encoded: {said}")
    clip = pickle.loads(done.stdout)  # noqa: S301 - our own process made it
    assert isinstance(clip, Clip)
    return clip


def main() -> int:
    """Encode what the argument orders and print the clip; return the exit status."""
    from stream_manager.lab.clips import generate  # noqa: PLC0415 - only this process needs it

    os.nice(NICENESS)
    order = json.loads(sys.argv[1])
    codec = order.pop("codec")
    try:
        clip = generate(Picture(**order), codec)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(pickle.dumps(clip))
    return 0


if __name__ == "__main__":
    sys.exit(main())
