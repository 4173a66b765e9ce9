"""From a fault to what it asks for: one ordered table, first match wins.

Rules are keyed by origin, code and status, never by text; some ask what went before as well. Where nothing matches, the fault is RECOVERABLE with cause unknown, and the rule's name says so,
so that the table can grow.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from stream_manager.recovery.faults import Cause, Fault, FaultClass

# A second fault within this time is a pattern, not an accident.
CALM_AFTER_S = 60.0
# Faults, told apart by origin, code and status, of which the rules are kept at hand.
KINDS = 1024


class When(Enum):
    """What must have gone before for a rule to apply."""

    ALWAYS = "always"
    CALM = "calm"  # proven, stable since the last fault, and that one was long ago
    NEVER_PROVEN = "never-proven"  # this configuration has not worked yet
    FIRST_OF_CAUSE = "first-of-cause"  # the fault before this one had another cause


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the rules may know of a component's past.

    proven: whether this configuration ever worked. attempts: failures since it was last stable.
    last_cause: the cause of the latest of those. since_last_s: how long ago any fault was.
    """

    proven: bool
    attempts: int
    last_cause: Cause | None
    since_last_s: float | None

    @property
    def calm(self) -> bool:
        """Tell whether a fault now would be the first in a long time."""
        quiet = self.since_last_s is None or self.since_last_s >= CALM_AFTER_S
        return self.proven and self.attempts == 0 and quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table: the origin has to match, and the code or the status.

    Empty `origins` match every origin; with neither codes nor statuses every code matches.

    charged: whether a restart counts against the component's own intensity budget. What its own
        restart can't cure (a network, a full disk) is paced by the backoff alone.
    probed: whether FAILED by this rule is tried again slowly.
    Raises ValueError, naming field and value, for values of other types.
    """

    name: str
    cause: Cause
    fault_class: FaultClass
    origins: AbstractSet[str] = frozenset()
    codes: AbstractSet[str] = frozenset()
    statuses: AbstractSet[int] = frozenset()
    when: When = When.ALWAYS
    charged: bool = True
    probed: bool = True

    def __post_init__(self) -> None:
        kinds = {"name": str, "cause": Cause, "fault_class": FaultClass, "when": When}
        for field, kind in kinds.items():
            if not isinstance(value := getattr(self, field), kind) or not value:
                raise ValueError(f"{field} is {value!r}: expected a {kind.__name__}")
        for field in ("origins", "codes", "statuses"):
            if not isinstance(value := getattr(self, field), AbstractSet):
                raise ValueError(f"{field} is {value!r}: expected a set")  # noqa: TRY004 - as all of it
            object.__setattr__(self, field, frozenset(value))  # a rule is hashed and never changes

    def speaks_of(self, origin: str, code: str, status: int | None) -> bool:
        """Tell whether this rule is about such a fault, whatever went before."""
        if self.origins and origin not in self.origins:
            return False
        keyed = self.codes or self.statuses
        return not keyed or code in self.codes or status in self.statuses

    def applies(self, history: History) -> bool:
        """Tell whether what went before is what this rule asks for."""
        match self.when:
            case When.ALWAYS:
                return True
            case When.CALM:
                return history.calm
            case When.NEVER_PROVEN:
                return not history.proven
            case _:  # FIRST_OF_CAUSE
                return history.last_cause is not self.cause


def _core(*codes: int) -> frozenset[str]:
    return frozenset(f"gst-core-error:{code}" for code in codes)


def _resource(*codes: int) -> frozenset[str]:
    return frozenset(f"gst-resource-error:{code}" for code in codes)


def _stream(*codes: int) -> frozenset[str]:
    return frozenset(f"gst-stream-error:{code}" for code in codes)


# What a `pipeline` string can get wrong: syntax, an unknown element or property, a link, ...
DESCRIPTION_ERRORS = frozenset(f"gst-parse-error:{code}" for code in range(8))
NETWORK_ELEMENTS = frozenset({"rtspsrc", "udpsrc", "tcpclientsrc"})
NETWORK_ERRNOS = frozenset(
    {
        "ECONNREFUSED",
        "ECONNRESET",
        "ECONNABORTED",
        "EHOSTUNREACH",
        "EHOSTDOWN",
        "ENETUNREACH",
        "ENETDOWN",
        "ETIMEDOUT",
        "EPIPE",
        "dns",
    }
)
STORAGE_ERRNOS = frozenset({"EROFS", "EIO", "ENXIO", "ENODEV", "ESTALE"})
# A place that is missing or forbidden may be an unmounted disk: it is watched, not given up.
PLACE_ERRNOS = frozenset({"ENOENT", "ENOTDIR", "EACCES", "EPERM", "EISDIR"})
SCARCITY_ERRNOS = frozenset({"ENOMEM", "EAGAIN", "EMFILE", "ENFILE"})
# Elements that read from a device of the machine.
DEVICE_SOURCES = frozenset({"v4l2src", "alsasrc"})
# Elements that write, and what the recorder itself does with files.
FILE_SINKS = frozenset({"filesink", "fdsink", "record", "open", "fsync"})

BUSY = frozenset({453, 500, 502, 503, 504})

_once = FaultClass.TRANSIENT
_retry = FaultClass.RECOVERABLE
_fatal = FaultClass.FATAL
_shared = FaultClass.CASCADE

# fmt: off
# ruff: noqa: E501 - a table is read by its columns
RULES: tuple[Rule, ...] = (
    # What an RTSP server says. Hammering a camera with a wrong password locks the account.
    Rule(name="auth-never-worked", cause=Cause.AUTH, fault_class=_fatal, codes=_resource(15), statuses=frozenset({401, 403}), when=When.NEVER_PROVEN, charged=False, probed=False),
    Rule(name="auth-while-booting", cause=Cause.AUTH, fault_class=_retry, codes=_resource(15), statuses=frozenset({401, 403}), when=When.FIRST_OF_CAUSE, charged=False),
    Rule(name="auth-refused", cause=Cause.AUTH, fault_class=_fatal, codes=_resource(15), statuses=frozenset({401, 403}), charged=False),
    Rule(name="rtsp-not-found", cause=Cause.NOT_FOUND, fault_class=_retry, origins=frozenset({"rtspsrc"}), codes=_resource(3), statuses=frozenset({404}), charged=False),
    Rule(name="rtsp-session-lost", cause=Cause.NETWORK, fault_class=_retry, statuses=frozenset({454}), charged=False),
    Rule(name="rtsp-busy", cause=Cause.DEVICE, fault_class=_retry, statuses=BUSY, charged=False),
    Rule(name="rtsp-transport", cause=Cause.CONFIG, fault_class=_fatal, statuses=frozenset({461})),
    Rule(name="rtsp-transport", cause=Cause.CONFIG, fault_class=_fatal, origins=frozenset({"rtspsrc"}), codes=_stream(6)),

    # The network, as errno or as rtspsrc tells it. Never retried at once: that would hammer.
    Rule(name="network-errno", cause=Cause.NETWORK, fault_class=_retry, origins=frozenset({"connect"}), charged=False),
    Rule(name="network-errno", cause=Cause.NETWORK, fault_class=_retry, codes=NETWORK_ERRNOS, charged=False),
    Rule(name="network-read-write", cause=Cause.NETWORK, fault_class=_retry, origins=NETWORK_ELEMENTS, codes=_resource(5, 6, 7, 9, 10), charged=False),
    Rule(name="network-timeout", cause=Cause.NETWORK, fault_class=_retry, origins=NETWORK_ELEMENTS, codes=frozenset({"timeout"}), charged=False),
    Rule(name="source-closed", cause=Cause.NETWORK, fault_class=_retry, origins=NETWORK_ELEMENTS, codes=frozenset({"eos"}), charged=False),
    Rule(name="no-streams", cause=Cause.MEDIA, fault_class=_retry, origins=NETWORK_ELEMENTS, codes=_resource(13)),

    # The machine has no room for one more process or file.
    Rule(name="scarcity", cause=Cause.MEMORY, fault_class=_retry, codes=SCARCITY_ERRNOS, charged=False),

    # The fork server could not make a worker: nothing that the stream itself could cure.
    Rule(name="no-worker", cause=Cause.NODE, fault_class=_retry, origins=frozenset({"forkserver"}), charged=False),

    # Storage. Whoever writes there suffers alike, so it is nobody's own fault.
    Rule(name="no-space", cause=Cause.STORAGE, fault_class=_shared, codes=_resource(14) | frozenset({"ENOSPC", "EDQUOT"}), charged=False),
    Rule(name="storage-errno", cause=Cause.STORAGE, fault_class=_shared, codes=STORAGE_ERRNOS, charged=False),
    Rule(name="storage-place", cause=Cause.STORAGE, fault_class=_shared, origins=FILE_SINKS, codes=PLACE_ERRNOS, charged=False),
    Rule(name="storage-write", cause=Cause.STORAGE, fault_class=_shared, origins=FILE_SINKS, codes=_resource(1, 6, 8, 10), charged=False),

    # A capture device that is unplugged, or that somebody else uses.
    Rule(name="device", cause=Cause.DEVICE, fault_class=_retry, origins=DEVICE_SOURCES, codes=_resource(4, 5, 7, 9, 13), charged=False),

    # What only a changed configuration can cure.
    Rule(name="pipeline-invalid", cause=Cause.CONFIG, fault_class=_fatal, codes=DESCRIPTION_ERRORS | frozenset({"container", "raw-video", "codec"}), probed=False),
    Rule(name="missing-plugin", cause=Cause.CONFIG, fault_class=_fatal, codes=_core(12) | _stream(6) | frozenset({"missing-element"})),
    Rule(name="exit-config", cause=Cause.CONFIG, fault_class=_fatal, origins=frozenset({"process"}), codes=frozenset({"exit:2"})),

    # A file source: the file may come yet; what it holds won't change by itself (poison ends it).
    Rule(name="file-missing", cause=Cause.NOT_FOUND, fault_class=_retry, codes=_resource(3) | frozenset({"ENOENT"}), charged=False),
    Rule(name="file-unreadable", cause=Cause.CONFIG, fault_class=_fatal, codes=frozenset({"EACCES", "EPERM", "EISDIR"})),
    Rule(name="file-unreadable", cause=Cause.CONFIG, fault_class=_fatal, origins=frozenset({"filesrc"}), codes=_resource(5)),

    # Processes, and what they take. The first crash or restart for memory after stable health is retried at once; the next ones wait.
    Rule(name="out-of-memory", cause=Cause.MEMORY, fault_class=_retry, origins=frozenset({"process"}), codes=frozenset({"SIGKILL:oom"})),
    Rule(name="memory-limit", cause=Cause.MEMORY, fault_class=_retry, codes=frozenset({"memory-limit", "MemoryError"})),
    Rule(name="memory-grown-once", cause=Cause.MEMORY, fault_class=_once, codes=frozenset({"restart-above"}), when=When.CALM),
    Rule(name="memory-grown", cause=Cause.MEMORY, fault_class=_retry, codes=frozenset({"restart-above"})),
    Rule(name="crash-once", cause=Cause.CRASH, fault_class=_once, origins=frozenset({"process"}), when=When.CALM),
    Rule(name="crash", cause=Cause.CRASH, fault_class=_retry, origins=frozenset({"process"})),
    Rule(name="hang-once", cause=Cause.HANG, fault_class=_once, codes=frozenset({"hang", "lost"}), when=When.CALM),
    Rule(name="hang", cause=Cause.HANG, fault_class=_retry, codes=frozenset({"hang", "lost", "deadline"})),

    # What should go on for ever came to its end.
    Rule(name="ended", cause=Cause.UNKNOWN, fault_class=_retry, origins=frozenset({"component"}), codes=frozenset({"finished"})),

    # Media that stops, never comes, or comes broken.
    Rule(name="stall", cause=Cause.STALL, fault_class=_retry, codes=frozenset({"stall"})),
    Rule(name="start-deadline", cause=Cause.STALL, fault_class=_retry, codes=frozenset({"start-deadline"})),
    Rule(name="track-missing", cause=Cause.MEDIA, fault_class=_retry, codes=frozenset({"track-missing"}), charged=False),
    Rule(name="media-once", cause=Cause.MEDIA, fault_class=_once, codes=_stream(*range(1, 14)) | frozenset({"eos", "undecodable"}), when=When.CALM),
    Rule(name="media", cause=Cause.MEDIA, fault_class=_retry, codes=_stream(*range(1, 14)) | frozenset({"eos", "no-video", "undecodable"})),
    Rule(name="no-keyframe", cause=Cause.MEDIA, fault_class=_retry, codes=frozenset({"no-keyframe"}), charged=False),
    Rule(name="negotiation", cause=Cause.MEDIA, fault_class=_retry, codes=_core(7, 10)),

    # A broken invariant of our own: recorded whole, never retried blindly.
    Rule(name="own-bug", cause=Cause.UNKNOWN, fault_class=_fatal, codes=frozenset({"InvariantError"})),
)
# fmt: on

UNMATCHED = Rule(name="unmatched", cause=Cause.UNKNOWN, fault_class=FaultClass.RECOVERABLE)


class Classifier:
    """An ordered table: the first rule that speaks of a fault and applies judges it.

    Which rules speak of a kind of fault is looked up once: they are a few of many.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._speaking_of = lru_cache(maxsize=KINDS)(self._look_up)

    def __call__(self, fault: Fault, history: History) -> Rule:
        """Return the rule that judges `fault`, else `UNMATCHED`."""
        for rule in self._speaking_of(fault.origin, fault.code, fault.status):
            if rule.applies(history):
                return rule
        return UNMATCHED

    def _look_up(self, origin: str, code: str, status: int | None) -> tuple[Rule, ...]:
        return tuple(rule for rule in self._rules if rule.speaks_of(origin, code, status))


classify = Classifier(RULES)
