"""`stream-manager doctor` on this machine, which was set up for the tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.media

COMMAND = Path(sys.executable).parent / "stream-manager"


def doctor(*arguments: str, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit code, and what was found by the names of the checks."""
    ended = subprocess.run(
        [COMMAND, "doctor", "--json", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return ended.returncode, {it["check"]: it for it in json.loads(ended.stdout)}


def test_a_machine_that_was_set_up_lacks_nothing_that_is_needed(tmp_path: Path) -> None:
    """GStreamer answers from a process of its own; every element, typelib and module is there."""
    code, found = doctor(XDG_RUNTIME_DIR=str(tmp_path))
    needed = ("GStreamer", "elements", "typelibs", "ffmpeg", "Python", "kernel", "runtime_dir")
    assert {name: found[name]["level"] for name in needed} == dict.fromkeys(needed, "ok")
    assert code == any(it["level"] == "problem" for it in found.values())
    assert {it["level"] for it in found.values()} <= {"ok", "warning", "problem", "unknown"}


def test_without_its_plugins_the_machine_is_told_what_to_install(tmp_path: Path) -> None:
    """An empty registry is a machine on which only GStreamer's core is installed."""
    code, found = doctor(
        XDG_RUNTIME_DIR=str(tmp_path),
        GST_REGISTRY=str(tmp_path / "registry.bin"),
        GST_PLUGIN_SYSTEM_PATH_1_0=str(tmp_path),
    )
    assert code == 1
    assert found["elements"]["level"] in {"problem", "warning"}
    assert found["elements"]["mend"].startswith("sudo apt-get install ")
