"""Every kind of error in one key: its line, its key, what was found and what was expected."""

from pathlib import Path

import pytest

from stream_manager.config import ConfigurationErrors, load

HEAD = """\
[manager]
state_dir = "state"
runtime_dir = "run"
[[volumes]]
id = "main"
path = "recordings"
[[streams]]
id = "front-door"
source = "test:"
"""

# Each case is what stands after HEAD (from line 10 on), and how the one error is told.
CASES = r"""
backoff = { cap = "30" }
=> 10: streams.front-door.backoff.cap: found "30", expected a duration with a unit, like "30s"

stable_for = 60
=> 10: streams.front-door.stable_for: found 60, expected a duration with a unit, like "30s"

stable_for = nan
=> 10: streams.front-door.stable_for: found nan, expected a duration with a unit, like "30s"

stable_for = "-1s"
=> 10: streams.front-door.stable_for: found "-1s", expected a duration with a unit, like "30s"

verify_for = "0s"
=> 10: streams.front-door.verify_for: found "0s", expected a duration from 1ms to 365d

probe_every = "366d"
=> 10: streams.front-door.probe_every: found "366d", expected a duration from 1ms to 365d

[[streams]]
id = "b"
source = "rtsp://cam/"
latency = "61s"
=> 13: streams.b.latency: found "61s", expected a duration from 0s to 60s

stall_after = "soon"
=> 10: streams.front-door.stall_after: found "soon", expected "auto" or a duration with a unit,
   like "30s"

enforce = 0
=> 10: streams.front-door.enforce: found 0, expected true or false

give_up_after = true
=> 10: streams.front-door.give_up_after: found true, expected "never", a number of attempts above
   0, or a duration with a unit, like "30s"

give_up_after = 0
=> 10: streams.front-door.give_up_after: found 0, expected "never", a number of attempts above 0,
   or a duration with a unit, like "30s"

give_up_after = 1000001
=> 10: streams.front-door.give_up_after: found 1000001, expected at most 1000000 attempts

budget.restarts = true
=> 10: streams.front-door.budget.restarts: found true, expected a whole number

budget.restarts = 0
=> 10: streams.front-door.budget.restarts: found 0, expected a number of at least 1

budget.restarts = 1001
=> 10: streams.front-door.budget.restarts: found 1001, expected a number of at most 1000

backoff.factor = 0.5
=> 10: streams.front-door.backoff.factor: found 0.5, expected a number of at least 1

backoff.factor = nan
=> 10: streams.front-door.backoff.factor: found nan, expected a finite number

backoff.factor = true
=> 10: streams.front-door.backoff.factor: found true, expected a number

backoff.jitter = "half"
=> 10: streams.front-door.backoff.jitter: found "half", expected "none", "full", "equal" or
   "decorrelated"

backoff = 5
=> 10: streams.front-door.backoff: found 5, expected a table

record = []
=> 10: streams.front-door.record: found an array, expected a table

record = {}
=> 10: streams.front-door.record.volumes: found nothing, expected the id of a volume, in an array

record = { volumes = "main" }
=> 10: streams.front-door.record.volumes: found "main", expected an array

record = { volumes = ["main", "main"] }
=> 10: streams.front-door.record.volumes: found 2 volumes, expected exactly one: more are not in
   this version

record = { volumes = ["mian"] }
=> 10: streams.front-door.record.volumes: found "mian", expected the id of a [[volumes]] table
   (main)

record = { volumes = ["main"], segment = "999ms" }
=> 10: streams.front-door.record.segment: found "999ms", expected a duration from 1s to 365d

record = { volumes = ["main"], container = "avi" }
=> 10: streams.front-door.record.container: found "avi", expected "auto", "ts", "mkv" or "mp4"

transport = "tcp"
=> 10: streams.front-door.transport: found a key for RTSP beside another source, expected it to
   be left out

pipeline = "videotestsrc"
=> 10: streams.front-door.pipeline: found "source" beside it, expected one of the two

sourc = "test:"
=> 10: streams.front-door.sourc: found an unknown key, expected "source"

backoff.floor = 1
=> 10: streams.front-door.backoff.floor: found an unknown key, expected one of base, cap, factor,
   jitter

backoff = { base = "2s", cap = "1s" }
=> 10: streams.front-door.backoff.cap: found a cap of 1s below a base of 2s, expected a cap of at
   least the base

verify_for = "15s"
=> 10: streams.front-door.verify_for: found verify_for of 15s, start_deadline of 15s, expected a
   start_deadline longer than verify_for, for it covers the proof

budget.restarts = 9
=> 10: streams.front-door.budget: found 9 restarts within 60s, which the backoff spreads over at
   least 60.5s, expected a limit that can be reached: fewer restarts, or within at least 60.5s

[recovery]
backoff = { base = "20s", jitter = "none" }
=> 11: recovery.backoff: found 5 restarts within 60s, which the backoff spreads over at least
   120s, expected a limit that can be reached: fewer restarts, or within at least 120s

[[streams]]
id = "front-door"
source = "test:"
=> 11: streams.front-door.id: found "front-door", as in line 8, expected an id of its own

[[volumes]]
id = "main"
path = "x"
=> 11: volumes.main.id: found "main", as in line 5, expected an id of its own

[[streams]]
source = "test:"
=> 10: streams[1].id: found nothing, expected an id

[[volumes]]
id = "b"
=> 10: volumes.b.path: found nothing, expected a path

[[streams]]
id = "b"
=> 10: streams.b.source: found nothing, expected an "rtsp://" URL, "file:PATH" or "test:", or a
   pipeline instead

[[streams]]
id = "b"
source = ["rtsp://u:hunter2@cam"]
=> 12: streams.b.source: found an array, expected a string

[[streams]]
id = "b"
source = "rtmp://u:hunter2@cam/live"
=> 12: streams.b.source: found "rtmp://***@cam/live", expected an "rtsp://" URL, "file:PATH" or
   "test:": rtmp is not in this version

[[streams]]
id = "b"
source = "u:hunter2@cam/live"
=> 12: streams.b.source: found "***@cam/live", expected an "rtsp://" URL, "file:PATH" or "test:"

[[streams]]
id = "b"
source = "rtsp:/u:hunter2@cam/live"
=> 12: streams.b.source: found "rtsp:/***@cam/live", expected
   "rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH", with a #, /, ? or space of a literal password written
   %23, %2F, %3F or %20

[[streams]]
id = "b"
source = "rtsp://u:${NOPE}@cam"
=> 12: streams.b.source: found no environment variable NOPE, expected a value for ${NOPE}

[[streams]]
id = "b"
pipeline = "x ${EMPTY}"
=> 12: streams.b.pipeline: found an empty value for ${EMPTY}, expected a value that is not empty

[[streams]]
id = "b"
pipeline = "x ${BELL}"
=> 12: streams.b.pipeline: found control characters in ${BELL}, expected printable characters

[[streams]]
id = "b"
pipeline = "x ${1}"
=> 12: streams.b.pipeline: found "${" without a name, expected "${NAME}" or "${file:PATH}"

[[streams]]
id = "b"
source = "file:a\u0000b"
=> 12: streams.b.source: found a control character, expected printable characters

[[streams]]
id = "b"
pipeline = ""
=> 12: streams.b.pipeline: found "", expected a GStreamer bin description

[[volumes]]
id = "b"
path = ""
=> 12: volumes.b.path: found "", expected a path

[[volumes]]
id = "b"
path = "x"
reserve = "1GiB"
=> 13: volumes.b.reserve: found a key that is not in this version, expected it to be left out

[[stream]]
=> 10: stream: found an unknown key, expected "streams"

[limits]
=> 10: limits: found a key that is not in this version, expected it to be left out

"two\\words" = 1
=> 10: streams.front-door."two\\words": found an unknown key, expected one of backoff, budget,
   depends_on, enforce, give_up_after, handover, id, latency, limits, outputs, pipeline,
   probe_every, record, source, stable_for, stall_after, start_deadline, transport, verify_for

handover = "make-before-make"
=> 10: streams.front-door.handover: found "make-before-make", expected "break-before-make" or
   "make-before-break"

[[streams.outputs]]
id = "record"
pipeline = "fakesink"
=> 11: streams.front-door.outputs.record.id: found "record", expected a name that no other part
   has: not "record" nor "source"

[[streams.outputs]]
id = "eyes"
=> 10: streams.front-door.outputs.eyes.pipeline: found nothing, expected a GStreamer bin description

[[streams.outputs]]
id = "eyes"
pipeline = ""
=> 12: streams.front-door.outputs.eyes.pipeline: found "", expected a GStreamer bin description

[[streams.outputs]]
id = "eyes"
pipeline = "rtmp2sink location=${NOWHERE}"
=> 12: streams.front-door.outputs.eyes.pipeline: found no environment variable NOWHERE,
   expected a value for ${NOWHERE}

[[streams.outputs]]
id = "eyes"
pipeline = "fakesink"
pipelines = "fakesink"
=> 13: streams.front-door.outputs.eyes.pipelines: found an unknown key, expected "pipeline"

[[streams.outputs]]
id = "eyes"
pipeline = "fakesink"
isolate = "yes"
=> 13: streams.front-door.outputs.eyes.isolate: found "yes", expected true or false

[[streams.outputs]]
id = "eyes"
pipeline = "fakesink"
[[streams.outputs]]
id = "eyes"
pipeline = "fakesink"
=> 14: streams.front-door.outputs.eyes.id: found "eyes", as in line 11, expected an id of its own
"""


@pytest.mark.parametrize("case", CASES.strip().split("\n\n"))
def test_one_wrong_key_is_one_error_told_exactly(tmp_path: Path, case: str) -> None:
    """One thing wrong is one error, with the place and the words that help."""
    added, _, told = case.partition("\n=> ")
    file = tmp_path / "cameras.toml"
    file.write_text(f"{HEAD}{added}\n")
    with pytest.raises(ConfigurationErrors) as caught:
        load(file, {"EMPTY": "", "BELL": "\a"})
    expected = " ".join(told.split())
    assert str(caught.value) == f"{file}:{expected}"
