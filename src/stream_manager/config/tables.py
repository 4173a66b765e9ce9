"""The file's tables, one model each: which keys there are, of what form, with which defaults.

A model judges each key by itself; what keys mean together is judged later. So every key has a
default, and a table with one bad key can still be judged by its others. What a key is for stands
beside it, and in docs/configuration.md, which is made from here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stream_manager.config.forms import (
    DirectoryPath,
    DomainName,
    Duration,
    Form,
    GiveUpAfter,
    Grace,
    Id,
    Latency,
    Listen,
    Memory,
    Patience,
    Segment,
    StallAfter,
)
from stream_manager.pipelines.spec import Container
from stream_manager.recovery.backoff import MAX_FACTOR, Jitter
from stream_manager.recovery.policy import RecoveryPolicy

Handover = Literal["break-before-make", "make-before-break"]

_DEFAULTS = RecoveryPolicy()


def _means(sentence: str) -> Any:  # noqa: ANN401 - pydantic's own type for it
    return Field(description=sentence)


class Table(BaseModel):
    """What all tables share: unknown keys are refused, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def own_values(self) -> dict[str, Any]:
        """Return the keys that the file sets, with their values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class ManagerTable(Table):
    """`[manager]`. Without `runtime_dir` the user's own place for sockets is taken."""

    state_dir: Annotated[
        DirectoryPath,
        _means(
            "What must outlive a restart: journal, operators' stops, snapshots, logs. Made if"
            " missing; nobody else may write there."
        ),
    ] = "./state"
    runtime_dir: Annotated[
        DirectoryPath | None,
        Form("path", default="`$XDG_RUNTIME_DIR/stream-manager`, or what systemd made"),
        _means(
            "Sockets, of the API and of the workers. Made if missing; nobody else may write there."
        ),
    ] = None
    listen: Annotated[
        Listen,
        _means("Offers the API on TCP too; the Unix socket in `runtime_dir` is always there."),
    ] = None
    orphan_grace: Annotated[
        Grace,
        _means(
            "How long streams run on without a manager, after its crash or where it left them on"
            " purpose. They are recorded meanwhile, and the next manager goes on with them."
        ),
    ] = None


class BackoffTable(Table):
    """`backoff = { … }`."""

    base: Annotated[
        Duration, _means("The wait before the first retry that is not made at once.")
    ] = _DEFAULTS.backoff.base_s
    factor: Annotated[
        float,
        Field(ge=1, le=MAX_FACTOR, allow_inf_nan=False),
        _means("How many times longer each further wait is."),
    ] = _DEFAULTS.backoff.factor
    cap: Annotated[
        Duration, _means("The longest wait, and so how late a camera's return can be noticed.")
    ] = _DEFAULTS.backoff.cap_s
    jitter: Annotated[
        Jitter,
        _means(
            "How the wait is spread, so that many streams do not come back together: `none` waits"
            " the whole, `equal` half of it and a random part of the other half, `full` a random"
            " part of the whole, `decorrelated` from `base` to three times the wait before."
        ),
    ] = _DEFAULTS.backoff.jitter


class BudgetTable(Table):
    """`budget = { … }`."""

    restarts: Annotated[
        int,
        Field(ge=1, le=1000),
        _means("So many charged restarts of one part are healing; one more escalates."),
    ] = _DEFAULTS.budget.restarts
    within: Annotated[Duration, _means("In which time they are counted.")] = (
        _DEFAULTS.budget.within_s
    )


class LimitsTable(Table):
    """`limits = { … }`."""

    memory: Annotated[
        Memory,
        _means(
            "The most that a worker may take. It is ended there, by the kernel where that can be"
            " had: [operations.md](operations.md#limits-of-workers)."
        ),
    ] = None
    restart_above: Annotated[
        Memory,
        _means(
            "A worker that takes more is restarted when its recording begins the next file, or"
            " halfway to `memory`, its files finished: a leak that nobody has mended yet."
        ),
    ] = None


class RecoveryTable(Table):
    """`[recovery]`, and the same keys in a stream."""

    backoff: Annotated[BackoffTable, _means("How long to wait between attempts.")] = BackoffTable()
    budget: Annotated[BudgetTable, _means("From where restarts are a loop and not a cure.")] = (
        BudgetTable()
    )
    stable_for: Annotated[
        Duration,
        _means("So long healthy without a break, and the next wait is `backoff.base` again."),
    ] = _DEFAULTS.stable_for_s
    give_up_after: Annotated[
        GiveUpAfter,
        _means("After so many retries, or so long, a stream is FAILED and only probed slowly."),
    ] = Patience()
    stall_after: Annotated[
        StallAfter,
        _means(
            "How long a track may bring nothing before it is a stall. `auto` learns it from each"
            " track's own rhythm, within 500ms and 10s."
        ),
    ] = None
    limits: Annotated[LimitsTable, _means("How much one worker may take.")] = LimitsTable()
    verify_for: Annotated[
        Duration,
        _means("So long must media advance on every track before a run counts as healthy."),
    ] = _DEFAULTS.verify_for_s
    start_deadline: Annotated[
        Duration, _means("A start that has not been verified by then has failed.")
    ] = _DEFAULTS.start_deadline_s
    probe_every: Annotated[
        Duration,
        _means("How often a stream that is FAILED is tried again, where its fault allows that."),
    ] = _DEFAULTS.probe_every_s
    enforce: Annotated[
        bool,
        _means(
            "`false` for a dry run: `budget`, `give_up_after` and five identical faults before the"
            " first success end nothing, and the journal tells what they would have ended."
        ),
    ] = _DEFAULTS.enforce

    def with_own(self, own: "RecoveryTable") -> "RecoveryTable":
        """Return this table with each key that `own` sets in its place, in inner tables too."""
        own_values = own.own_values()
        return self.model_copy(
            update={
                **{key: own_values[key] for key in own_values.keys() & RecoveryTable.model_fields},
                "backoff": self.backoff.model_copy(update=own.backoff.own_values()),
                "budget": self.budget.model_copy(update=own.budget.own_values()),
                "limits": self.limits.model_copy(update=own.limits.own_values()),
            }
        )


class RecordTable(Table):
    """`record = { … }`."""

    volumes: Annotated[
        list[str],
        Form("array with the id of one volume", default="required"),
        _means("Where the recording goes."),
    ] = []
    segment: Annotated[
        Segment, _means("How long a file is; the next one begins at the first keyframe after it.")
    ] = 60.0
    container: Annotated[
        Container,
        _means(
            "`auto` takes MPEG-TS where every track fits, else Matroska. `mp4` is fragmented. Media"
            " is never re-encoded."
        ),
    ] = "auto"


class OutputTable(Table):
    """`[[streams.outputs]]`."""

    id: Annotated[Id, _means("The output's name; neither `source` nor `record`.")] = ""
    pipeline: Annotated[
        str,
        Form("GStreamer bin description", default="required"),
        _means(
            "What is done with the media: each sink pad that is linked to nothing takes a track"
            " that it accepts, encoded as the camera sends it, in the order of the text. Secrets"
            " as in `source`."
        ),
    ] = ""
    isolate: Annotated[
        bool,
        _means(
            "`true` runs it in a process of its own: then even its crash costs the stream nothing:"
            " [outputs.md](outputs.md#in-a-process-of-its-own)."
        ),
    ] = False


class StreamTable(RecoveryTable):
    """`[[streams]]`."""

    id: Annotated[Id, _means("The stream's name, also of its folder and files.")] = ""
    source: Annotated[
        str | None,
        Form("`rtsp://` URL, `file:PATH` or `test:`", default="required, or `pipeline`"),
        _means(
            "What is recorded: a camera, a file in a loop, or a generated picture. `${NAME}` and"
            " `${file:PATH}` stand for secrets."
        ),
    ] = None
    pipeline: Annotated[
        str | None,
        Form("GStreamer bin description", default="none"),
        _means(
            "The source instead of `source`; its unlinked source pads carry encoded media. Secrets"
            " as there."
        ),
    ] = None
    transport: Annotated[
        Literal["tcp", "udp"], _means("How an RTSP camera sends; for `rtsp://` alone.")
    ] = "tcp"
    latency: Annotated[
        Latency, _means("The jitter buffer: how late a packet may be; for `rtsp://` alone.")
    ] = 0.2
    record: Annotated[
        RecordTable | None,
        Form("table", default="not recorded"),
        _means("Where to and how it is recorded."),
    ] = None
    outputs: Annotated[
        list[dict[str, object]],
        Form("array of tables", default="none"),
        _means("What else is done with its media, beside the recording: see below."),
    ] = []
    handover: Annotated[
        Handover,
        _means(
            "How a worker that still runs is replaced, by command or for its memory:"
            " `make-before-break` brings up its successor first, so that no picture is missing:"
            " [recovery.md](recovery.md#make-before-break)."
        ),
    ] = "break-before-make"
    depends_on: Annotated[
        list[DomainName],
        Form('array of "KIND:NAME"', default="none"),
        _means(
            "What else its source shares with others and can fail with, narrowest first, like"
            ' `"api:billing"`: [recovery.md](recovery.md#failures-that-streams-share). Host, subnet'
            " and volume are known."
        ),
    ] = []


class VolumeTable(Table):
    """`[[volumes]]`."""

    id: Annotated[Id, _means("The name by which streams mean it.")] = ""
    path: Annotated[
        DirectoryPath,
        Form("path", default="required"),
        _means(
            "A directory for recordings. Made when the configuration is read, if missing, and never"
            " later: a disk that was unmounted must not fill the one below it."
        ),
    ] = ""


class Document(Table):
    """The file: its tables as they stand, each judged by its own model."""

    manager: dict[str, object] = {}
    recovery: dict[str, object] = {}
    volumes: list[dict[str, object]] = []
    streams: list[dict[str, object]] = []
