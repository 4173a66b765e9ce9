"""What is said of GStreamer, whatever state it is in, and of the packages beside it."""

import sys
from pathlib import Path

import pytest

from stream_manager.doctor import Level, media, python
from stream_manager.doctor.finding import Finding
from stream_manager.doctor.needs import ELEMENTS, EXTRAS, TYPELIBS
from stream_manager.errors import OutsideError
from stream_manager.pipelines.codecs import CODECS
from stream_manager.pipelines.containers import MUXERS
from stream_manager.pipelines.file import _DEMUXERS
from stream_manager.pipelines.forkserver import USUAL_ELEMENTS

NAMES = frozenset(name for need in ELEMENTS for name in need.names)
LIBS = frozenset(name for need in TYPELIBS for name in need.names)


def inventory(
    *,
    error: str | None = None,
    version: tuple[int, ...] | None = (1, 22, 0),
    without: frozenset[str] = frozenset(),
) -> media.Inventory:
    """Return a machine that has all but some."""
    return media.Inventory(
        error=error, version=version, elements=NAMES - without, typelibs=LIBS - without
    )


def told(there: media.Inventory) -> list[Finding]:
    """Return what is said of it."""
    return list(media.gstreamer(lambda: there))


def test_every_element_that_is_used_is_looked_for() -> None:
    """What the pipelines are made of is what the table holds."""
    launched = [codec.parser for codec in CODECS] + list(MUXERS.values())
    used = {part.split()[0] for launch in launched for part in launch.split("!")}
    used |= {depayloader for codec in CODECS for depayloader in codec.rtp.values()}
    used |= set(_DEMUXERS.values()) | set(USUAL_ELEMENTS)
    assert used <= NAMES


def test_every_extra_is_looked_for() -> None:
    """The extras are those of the package."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    extras = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    assert all(f"\n{extra} = [" in extras for extra in EXTRAS)
    for name in ("msgspec", "setproctitle", "pydantic", "fastapi", "uvicorn", "structlog"):
        assert any(name in modules for modules in EXTRAS.values())


def test_a_whole_machine_is_told_in_three_lines() -> None:
    """One for GStreamer, one for its elements, one for its typelibs."""
    findings = told(inventory())
    assert [finding.check for finding in findings] == ["GStreamer", "typelibs", "elements"]
    assert {finding.level for finding in findings} == {Level.OK}


def test_what_is_missing_comes_with_its_package() -> None:
    """Without a camera's elements nothing works; without the demo's only the demo does not."""
    findings = told(inventory(without=frozenset({"rtspsrc", "udpsrc", "x264enc"})))
    missing = [finding for finding in findings if finding.level is not Level.OK]
    assert [(it.level, it.found, it.mend) for it in missing] == [
        (
            Level.PROBLEM,
            "no rtspsrc, udpsrc: for RTSP cameras",
            "sudo apt-get install gstreamer1.0-plugins-good",
        ),
        (
            Level.WARNING,
            "no x264enc: for test: sources and the demo",
            "sudo apt-get install gstreamer1.0-plugins-ugly",
        ),
    ]


def test_an_old_gstreamer_is_a_problem() -> None:
    """The version that works is named."""
    (version, *_) = told(inventory(version=(1, 18, 4)))
    assert version.level is Level.PROBLEM
    assert version.found == "1.18.4, and 1.20 is the oldest that works"


def test_without_typelib_or_binding_there_is_one_problem_to_mend_first() -> None:
    """Nothing is said of elements that can't be looked for."""
    findings = told(inventory(version=None, without=frozenset({"Gst"})))
    assert [(it.check, it.level) for it in findings] == [("typelibs", Level.PROBLEM)]
    assert findings[0].mend == "sudo apt-get install gir1.2-gstreamer-1.0"
    (binding,) = told(inventory(error="No module named 'gi'"))
    assert (binding.level, binding.found) == (Level.PROBLEM, "No module named 'gi'")
    assert binding.mend == "pip install 'stream-manager[media]'"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "the process was ended by SIGSEGV"),
        ("raise SystemExit(1)", "the process ended with exit code 1"),
        ("import signal; signal.pause()", "gave no answer within"),
        ("print('a plugin speaks\\n{}')", "it printed 'a plugin speaks'"),
        ("print('[]')", "it printed '[]'"),
        ("print('{}')", "it printed '{}'"),
        ("pass", "it printed ''"),
    ],
)
def test_a_gstreamer_that_crashes_hangs_or_babbles_is_a_finding(
    script: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor lives on and says how it ended."""
    monkeypatch.setattr(media, "ANSWER_WITHIN_S", 1.0)

    def ask() -> media.Inventory:
        return media.take_inventory((sys.executable, "-c", script))

    with pytest.raises(OutsideError):
        ask()
    (finding,) = media.gstreamer(ask)
    assert finding.level is Level.PROBLEM
    assert words in finding.found


def test_ffmpeg_is_looked_for_with_its_sister() -> None:
    """Without them recordings are made all the same."""
    (there,) = media.ffmpeg(lambda name: f"/usr/bin/{name}")
    assert (there.level, there.found) == (Level.OK, "/usr/bin/ffmpeg")
    (gone,) = media.ffmpeg(lambda name: None if name == "ffprobe" else name)
    assert (gone.level, gone.mend) == (Level.WARNING, "sudo apt-get install ffmpeg")
    assert gone.found.startswith("no ffprobe:")


def test_a_module_that_is_missing_is_told_with_its_extra() -> None:
    """Nothing is imported to find that out."""
    (whole,) = python.packages(lambda name: name)
    assert whole.level is Level.OK
    (missing,) = python.packages(lambda name: None if name in {"fastapi", "uvicorn"} else name)
    assert (missing.level, missing.mend) == (Level.PROBLEM, "pip install 'stream-manager[api]'")
    assert missing.found == "no fastapi, uvicorn, which the extra api brings"
