"""What simulated cameras send where it should be as heavy as what real ones do."""

import shutil
import subprocess
from pathlib import Path

from stream_manager.errors import OutsideError

SECONDS = 8
MADE_WITHIN_S = 120.0


def make_clip(path: Path) -> Path:
    """Encode a moving test picture (H.264 720p25, a keyframe every 0.2 s) and a tone (AAC).

    Raises OutsideError where ffmpeg is missing or fails.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise OutsideError("ffmpeg is not installed: apt-get install ffmpeg")
    command = [
        *(ffmpeg, "-nostdin", "-v", "error"),
        *("-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate=25:duration={SECONDS}"),
        *("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}"),
        *("-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency"),
        *("-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "750k"),
        *("-g", "5", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)),
    ]
    try:
        subprocess.run(command, check=True, timeout=MADE_WITHIN_S)  # noqa: S603 - no word of a user
    except (OSError, subprocess.SubprocessError) as error:
        raise OutsideError(f"ffmpeg made no clip at {path}: {error}") from error
    return path
