"""GStreamer, its elements and typelibs, and ffmpeg."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stream_manager.doctor.finding import Finding, ok, problem, warning
from stream_manager.doctor.needs import ELEMENTS, OLDEST_GSTREAMER, TYPELIBS, Need
from stream_manager.errors import OutsideError
from stream_manager.recovery import exit_fault

# Reading every plugin for the first time takes seconds; a machine under load several times that.
ANSWER_WITHIN_S = 60.0
_MODULE = "stream_manager.pipelines.inventory"
_LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What is there: `error` is why Python can't reach GStreamer at all."""

    error: str | None
    version: tuple[int, ...] | None
    elements: frozenset[str]
    typelibs: frozenset[str]


def take_inventory(command: tuple[str, ...] = (sys.executable, "-m", _MODULE)) -> Inventory:
    """Ask GStreamer in a process of its own; raises OutsideError when that gives no answer."""
    wanted = {
        "elements": [name for need in ELEMENTS for name in need.names],
        "typelibs": [name for need in TYPELIBS for name in need.names],
    }
    try:
        ended = subprocess.run(  # noqa: S603 - our own module, without arguments
            command,
            input=json.dumps(wanted).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ANSWER_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OutsideError(f"it gave no answer within {ANSWER_WITHIN_S:g} s") from error
    if ended.returncode != 0:
        raise OutsideError(f"asked for its elements, {exit_fault(ended.returncode).text}")
    try:
        answer = json.loads(ended.stdout)
        version = answer["version"]
        return Inventory(
            error=answer["error"],
            version=None if version is None else tuple(version),
            elements=frozenset(answer["elements"]),
            typelibs=frozenset(answer["typelibs"]),
        )
    except (ValueError, TypeError, KeyError) as error:
        # A plugin, or what starts with every Python (sitecustomize), has printed into the answer.
        lines = ended.stdout.decode(errors="replace").strip().splitlines()
        said = lines[0][:_LONGEST_SHOWN] if lines else ""
        raise OutsideError(f"asked for its elements, it printed {said!r}") from error


def gstreamer(inventory: Callable[[], Inventory] = take_inventory) -> Iterator[Finding]:
    """Look at GStreamer as a whole, then for each element and typelib that the product uses."""
    try:
        there = inventory()
    except OutsideError as error:
        mend = "GST_DEBUG=3 gst-inspect-1.0 >/dev/null"
        yield problem("GStreamer", str(error), mend)
        return
    if there.error is not None:
        yield problem("GStreamer", there.error, "pip install 'stream-manager[media]'")
        return
    yield from _version(there.version)
    yield from _missing("typelibs", TYPELIBS, there.typelibs)
    if there.version is not None:
        yield from _missing("elements", ELEMENTS, there.elements)


def _version(version: Sequence[int] | None) -> Iterator[Finding]:
    if version is None:
        return  # the typelib's own finding says it
    text = ".".join(map(str, version))
    if tuple(version[:2]) >= OLDEST_GSTREAMER:
        yield ok("GStreamer", text)
    else:
        oldest = ".".join(map(str, OLDEST_GSTREAMER))
        mend = "upgrade the distribution: Debian 12 and Ubuntu 24.04 have newer ones"
        yield problem("GStreamer", f"{text}, and {oldest} is the oldest that works", mend)


def _missing(check: str, needs: Sequence[Need], there: frozenset[str]) -> Iterator[Finding]:
    """Yield one finding for each need that is not met, or one that all are."""
    whole = True
    for need in needs:
        if missing := [name for name in need.names if name not in there]:
            whole = False
            tell = problem if need.essential else warning
            found = f"no {', '.join(missing)}: for {need.used_for}"
            yield tell(check, found, f"sudo apt-get install {need.package}")
    if whole:
        number = sum(len(need.names) for need in needs)
        yield ok(check, f"all {number} that are used")


def ffmpeg(which: Callable[[str], str | None] = shutil.which) -> Iterator[Finding]:
    """Look for the programs that check and join recordings."""
    missing = [name for name in ("ffmpeg", "ffprobe") if which(name) is None]
    if missing:
        found = f"no {' and no '.join(missing)}: recordings can't be checked or exported"
        yield warning("ffmpeg", found, "sudo apt-get install ffmpeg")
    else:
        yield ok("ffmpeg", str(which("ffmpeg")))
