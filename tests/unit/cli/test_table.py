from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stream_manager.cli.demo_view import show_conclusion
from stream_manager.cli.printing import room, show
from stream_manager.cli.table import draw
from stream_manager.cli.words import ago, at, bit_rate, in_time, plain, share
from stream_manager.lab.demo_results import Detection, Outcome, Verdict
from stream_manager.lab.demo_scenarios import SCENARIOS
from stream_manager.recovery import span

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NO_MEDIA = {"frames": 0, "bytes": 0, "last_at": None, "fps": 0.0, "bitrate_bps": 0}


def make_output(state: str, health: str | None, waits_for: str | None = None) -> dict[str, Any]:
    """Return what the API says of one recorder."""
    return {
        "id": "record",
        "kind": "record",
        "state": state,
        "health": health,
        "waits_for": waits_for,
    }


def make_stream(id_: str, state: str, health: str | None, **fields: object) -> dict[str, Any]:
    """Return what the API says of one stream."""
    return {
        "id": id_,
        "state": state,
        "health": health,
        "pid": 42,
        "abandoned": [],
        "epoch": 3,
        "restarts_total": 0,
        "attempt": 0,
        "next_attempt_in_s": None,
        "waits_for": None,
        "last_fault": None,
        "uptime_s": 60.0,
        "availability": 1.0,
        "outage_s_total": 0.0,
        "mttr_s": None,
        "media": {"frames": 9, "bytes": 9, "last_at": None, "fps": 25.0, "bitrate_bps": 2.1e6},
        "outputs": [make_output("running", "healthy")],
        **fields,
    }


def make_status(*streams: dict[str, Any], store: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the API's whole answer."""
    manager = {"pid": 4711, "uptime_s": 8000.0, "version": "0.1.0", "store": store}
    return {"manager": manager, "streams": list(streams), "domains": [], "pressure": {}}


def fault(at: str, cause: str, code: str, message: str) -> dict[str, str]:
    """Return a fault as the API tells it."""
    return {"at": at, "cause": cause, "class": "recoverable", "code": code, "message": message}


REFUSED = {"last_fault": fault("2026-01-31T11:59:46Z", "network", "ECONNREFUSED", "refused")}
WELL = make_stream(
    "front-door",
    "running",
    "healthy",
    availability=0.99987,
    outage_s_total=12.2,
    last_fault=fault("2026-01-31T11:30:00Z", "network", "eos", "the camera ended the stream"),
)
DOWN = make_stream(
    "car-park",
    "backing_off",
    "unhealthy",
    availability=0.91,
    outage_s_total=300.0,
    media=NO_MEDIA,
    attempt=3,
    next_attempt_in_s=12.4,
    outputs=[make_output("parked", "unhealthy")],
    last_fault=fault("2026-01-31T11:59:46Z", "network", "ECONNREFUSED", "connection\nrefused"),
)
LOST = make_stream(
    "dock", "failed", "failed", media=NO_MEDIA, availability=0.0, outage_s_total=5000.0, outputs=[]
)
OFF = make_stream(
    "attic",
    "stopped",
    None,
    media=NO_MEDIA,
    availability=None,
    outputs=[make_output("stopped", None)],
)
ALL = make_status(WELL, DOWN, LOST, OFF)


def pasted(words: str) -> str:
    """Return a command as it can be typed."""
    return f"stream-manager {words} -c X"


def drawn(status: dict[str, Any], width: int) -> list[str]:
    """Return the lines that a terminal of `width` columns shows."""
    console = Console(file=StringIO(), width=width, highlight=False)
    shown = draw(status, now=NOW, width=width, command=pasted)
    console.print(*shown, sep="\n")
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_fault_is_shown_without_its_place_in_gstreamer() -> None:
    """What helps a person stays, also in parentheses; what helps GStreamer's developers goes."""
    place = "../gst/gstbasesrc.c(3187): gst_base_src_loop (): /GstPipeline:p/GstFileSrc:f"
    for message, expected in (
        (f"Internal data stream error. ({place})", "Internal data stream error."),
        ("It failed. (system error: No space left)", "It failed. (system error: No space left)"),
        ("It failed (9).", "It failed (9)."),
    ):
        last = fault("2026-01-31T11:59:46Z", "media", "x", message)
        lines = drawn(make_status({**DOWN, "last_fault": last}), 200)
        assert f"media fault 14 s ago (12:59:46): x: {expected}" in lines[-2]
        assert lines[-2].endswith(expected)


def test_a_narrow_terminal_gets_the_essentials_in_rows_and_the_rest_below() -> None:
    """At 80 columns every stream has one row, and its story stands under the table."""
    assert drawn(ALL, 80) == [
        "stream-manager 0.1.0, pid 4711, up 2 h 13 min",
        "STREAM      HEALTH     STATE         FPS    BIT RATE  AVAILABLE",
        "front-door  healthy    running      25.0  2.1 Mbit/s    99.99 %",
        "car-park    unhealthy  backing off     -           -    91.00 %",
        "dock        failed     failed          -           -     0.00 %",
        "attic       -          stopped         -           -          -",
        "",
        "front-door  network fault 30 min ago (12:30:00): eos: the camera ended the",
        "            stream",
        "car-park    network fault 14 s ago (12:59:46): ECONNREFUSED: connection refused",
        "            outputs: record parked",
        "            next: attempt 3 at 13:00:12 (in 12 s)",
        "dock        next: nothing, until: stream-manager reset dock -c X",
        "attic       next: nothing, until: stream-manager start attic -c X",
    ]


def test_a_wide_terminal_shows_faults_and_outputs_in_the_rows() -> None:
    """At 160 columns only streams in trouble need more than their row."""
    narrow = drawn(ALL, 80)
    assert drawn(ALL, 160) == [
        "stream-manager 0.1.0, pid 4711, up 2 h 13 min",
        f"{narrow[1]}        LOST  LAST FAULT          OUTPUTS",
        f"{narrow[2]}        12 s  network 30 min ago  record running",
        f"{narrow[3]}       5 min  network 14 s ago    record parked",
        f"{narrow[4]}  1 h 23 min  -                   -",
        f"{narrow[5]}           -  -                   record stopped",
        "",
        "car-park  network fault 14 s ago (12:59:46): ECONNREFUSED: connection refused",
        "          next: attempt 3 at 13:00:12 (in 12 s)",
        "dock      next: nothing, until: stream-manager reset dock -c X",
        "attic     next: nothing, until: stream-manager start attic -c X",
    ]


def test_in_a_pipe_every_stream_has_one_line_and_no_blanks_after_it() -> None:
    """Whatever width rich takes it for: grep finds a stream with all that is told of it."""
    long = make_stream("the-camera-above-the-loading-bay", "running", "healthy", **REFUSED)
    console = Console(file=StringIO(), width=80, highlight=False)
    show(console, draw(make_status(WELL, long), now=NOW, width=room(console), command=pasted))
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert len(lines) == 4
    (found,) = (line for line in lines if long["id"] in line)
    assert found.endswith("network 14 s ago    record running")


def test_on_a_terminal_it_keeps_to_the_width() -> None:
    """Nothing reaches beyond the last column."""
    console = Console(file=StringIO(), width=80, force_terminal=True, color_system=None)
    show(console, draw(ALL, now=NOW, width=room(console), command=pasted))
    assert isinstance(console.file, StringIO)
    assert [it.rstrip() for it in console.file.getvalue().splitlines()] == drawn(ALL, 80)


def test_the_demo_s_table_in_a_pipe_has_a_line_a_fault() -> None:
    """What was decided is the last column, and is not broken into pieces."""
    outcome = Outcome(
        scenario=SCENARIOS[1],
        healed=True,
        detection=Detection(
            after_s=1.2, cause="network", code="eos", fault_class="recoverable", rule="eos"
        ),
        causes=("network", "stall"),
        delays_s=(0.4, 0.8, 1.5, 3.1, 6.0),
        outage_s=13.37,
        others_lost_s={},
    )
    folder = Path("/srv/a-folder-with-a-name-that-does-not-fit-into-eighty-columns/demo-2026-01-31")
    verdict = Verdict(folder=folder, outcomes=(outcome,), recordings=(), ailing={})
    console = Console(file=StringIO(), width=80, highlight=False)
    show_conclusion(console, verdict)
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert lines[2].startswith("reboot a camera  car-park")
    assert lines[2].endswith("recoverable: again after 0.4, 0.8, 1.5, 3.1 and 6 s")
    assert f"recordings   {folder}/recordings" in lines


def test_a_failed_stream_that_is_probed_says_when() -> None:
    """The slow probe of a failed stream is something to wait for."""
    probed = make_stream("dock", "failed", "failed", next_attempt_in_s=300.0)
    assert drawn(make_status(probed), 80)[-1] == "dock  next: looks again at 13:05:00 (in 5 min)"


@pytest.mark.parametrize("cause", ["auth", "config"])
def test_what_only_new_settings_heal_is_not_sent_to_a_reset(cause: str) -> None:
    """It would present the refused password once more."""
    refused = make_stream(
        "dock", "failed", "failed", last_fault=fault("2026-01-31T11:59:46Z", cause, "x", "no")
    )
    last = drawn(make_status(refused), 100)[-1]
    assert last == "      next: nothing, until that is put right: stream-manager explain dock -c X"


def test_an_incident_stands_at_the_top_and_with_each_stream_that_waits_in_it() -> None:
    """A person sees one incident, and which streams wait for it instead of trying."""
    parked = make_output("parked", "unhealthy", waits_for="volume:main")
    waiting = make_stream("dock", "parked", "unhealthy", waits_for="host:nvr", outputs=[])
    degraded = make_stream("yard", "running", "degraded", outputs=[parked])
    incident = {
        "domain": "host:nvr",
        "state": "open",
        "cause": "network",
        "since": "2026-01-31T11:59:20.000Z",
        "members": 6,
        "waiting": 5,
    }
    status = make_status(waiting, degraded)
    for probe, next_s, awaited in (
        ("gate/source", None, "gate/source is trying"),
        (None, 1.0, "the next one tries at 13:00:01 (in 1 s)"),
        (None, None, "all are coming back"),
    ):
        status["domains"] = [{**incident, "probe": probe, "next_probe_in_s": next_s}]
        lines = drawn(status, 160)
        assert lines[1] == (
            "host:nvr: network incident, open, began 40 s ago (12:59:20):"
            f" 6 parked so far, 5 wait; {awaited}"
        )
        assert lines[-2:] == ["dock  waits for host:nvr", "yard  record waits for volume:main"]


def test_when_all_is_well_there_is_nothing_below_the_table() -> None:
    """No news takes no lines."""
    assert len(drawn(make_status(make_stream("a", "running", "healthy")), 80)) == 3


def test_a_manager_without_streams_says_so() -> None:
    """An empty table would leave the reader guessing."""
    assert drawn(make_status(), 80)[-1] == "no streams are configured"


def test_trouble_with_the_store_stands_at_the_top() -> None:
    """An operator sees that the journal is not saved, since when, and what it costs."""
    store = {"state": "failing", "error": "disk full", "waiting": 12, "dropped": 3}
    for since, words in ((None, "saved:"), ("2026-01-31T11:30:00Z", "saved since 12:30:00:")):
        lines = drawn(make_status(store={**store, "since": since}), 100)
        assert lines[1].startswith(f"The journal is not being {words} disk full; 12 rows wait")


def test_trouble_with_the_index_is_told_too() -> None:
    """It is a database of its own, and fails by itself."""
    status = make_status()
    status["manager"]["index"] = {
        "state": "failing",
        "error": "locked",
        "waiting": 3,
        "dropped": 0,
        "since": None,
    }
    told = " ".join(drawn(status, 100)[1:3])
    assert "The index of recordings is not being saved: locked; 3 rows wait" in told


def test_a_broken_task_of_the_managers_own_is_told() -> None:
    """Which, of what, and when it is tried again; nothing of those that work."""
    status = make_status()
    broken = fault("2026-01-31T11:59:59Z", "unknown", "ZeroDivisionError", "a bug")
    works = {"id": "health", "state": "running", "attempt": 0, "next_attempt_in_s": None}
    waits = {"id": "api", "state": "backing_off", "attempt": 2, "next_attempt_in_s": 4.0}
    status["manager"]["tasks"] = [{**works, "last_fault": None}, {**waits, "last_fault": broken}]
    (said,) = drawn(status, 100)[1:-1]
    assert said.startswith(
        "the manager's own api is backing off: ZeroDivisionError: a bug; attempt 2"
    )


def test_colours_only_repeat_what_words_say() -> None:
    """A terminal that has colours gets the word and the colour."""
    console = Console(file=StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(*draw(ALL, now=NOW, width=80, command=str), sep="\n")
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert "\x1b[32mhealthy" in text
    assert "\x1b[1;31munhealthy" in text


@pytest.mark.parametrize(
    ("duration_s", "words"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (119.4, "119 s"),
        (120, "2 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (86399, "23 h 59 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_spans(duration_s: float, words: str) -> None:
    """Durations have a unit and no more digits than a reader needs."""
    assert span(duration_s) == words


def test_times_are_local_and_dated_unless_today() -> None:
    """A reader need not know UTC, and yesterday is not mistaken for today."""
    assert at(NOW, NOW) == "13:00:00"
    assert at(datetime(2026, 1, 30, 23, 30, tzinfo=UTC), NOW) == "00:30:00"
    assert at(datetime(2026, 1, 30, 12, tzinfo=UTC), NOW) == "2026-01-30 13:00:00"
    assert ago(datetime(2026, 1, 30, 12, tzinfo=UTC), NOW) == "1 d 0 h ago"
    assert in_time(43200, NOW) == "at 2026-02-01 01:00:00 (in 12 h 0 min)"


def test_rates_and_shares() -> None:
    """A share is never rounded up to whole, nor a rate to nothing."""
    assert [bit_rate(it) for it in (64_000, 999_000, 2_130_000)] == [
        "64 kbit/s",
        "999 kbit/s",
        "2.1 Mbit/s",
    ]
    assert [share(it) for it in (0.0, 0.5, 0.99999, 1.0)] == [
        "0.00 %",
        "50.00 %",
        "99.999 %",
        "100 %",
    ]


@given(st.text())
def test_no_text_from_outside_can_command_a_terminal(text: str) -> None:
    """Escapes and line breaks from cameras become spaces."""
    assert plain(text).isprintable()
    assert len(plain(text)) == len(text)


@given(st.floats(min_value=0, max_value=1))
def test_only_a_whole_share_is_100(fraction: float) -> None:
    """An availability that had an outage never reads 100 %."""
    assert (share(fraction) == "100 %") == (fraction == 1)
    assert not share(fraction).startswith("100.")
