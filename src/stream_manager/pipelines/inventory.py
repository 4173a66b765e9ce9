"""A process that says what GStreamer there is: its version, elements and typelibs, as one JSON.

It imports nothing at once that a broken installation could keep from being imported, and whatever
GStreamer does while it loads its plugins is over with this process.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any


def take(elements: Sequence[str], typelibs: Sequence[str]) -> dict[str, Any]:
    """Return which of them are there; `error` is why Python can't reach GStreamer at all."""
    answer: dict[str, Any] = {"error": None, "version": None, "elements": [], "typelibs": []}
    try:
        import gi  # noqa: PLC0415 - that it is missing is an answer
    except ImportError as error:
        return {**answer, "error": str(error)}
    for name in typelibs:
        try:
            gi.require_version(name, "1.0")
        except ValueError:
            continue
        answer["typelibs"].append(name)
    if "Gst" in answer["typelibs"]:
        from gi.repository import Gst  # noqa: PLC0415 - as above

        Gst.init(None)
        answer["version"] = Gst.version()[:3]
        answer["elements"] = [name for name in elements if Gst.ElementFactory.find(name)]
    return answer


def main() -> None:
    """Answer on stdout for the elements and typelibs that stdin names."""
    wanted = json.load(sys.stdin)
    sys.stdout.write(json.dumps(take(wanted["elements"], wanted["typelibs"])))


if __name__ == "__main__":
    main()
