"""The words of the engine: phases, events, actions, the record of a component, the decision.

One component lives in one `Record`, which is replaced and never mutated. It has one timer,
`due_s`, so "at most one pending restart" holds by construction; the phase gives it its meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from stream_manager.recovery.classify import Rule
from stream_manager.recovery.faults import Cause, Fault
from stream_manager.recovery.policy import RecoveryPolicy


class Phase(Enum):
    """Where a component stands."""

    STOPPED = "stopped"  # not wanted
    STARTING = "starting"  # Start was issued; due: the start deadline
    VERIFYING = "verifying"  # started, not yet proven; due: the same deadline
    RUNNING = "running"  # proven; due: when the attempts are forgiven
    TEARING_DOWN = "tearing_down"  # Stop was issued after a fault; due: when to abandon it
    BACKING_OFF = "backing_off"  # gone; due: the next attempt
    PARKED = "parked"  # something it needs, or a domain of it, is down; no timer, nothing charged
    FAILED = "failed"  # nothing is tried; due: the slow probe, where the rule allows one
    STOPPING = "stopping"  # not wanted, Stop was issued; due: when to abandon it

    __hash__ = object.__hash__  # each is one object; Enum's own hash is computed by its name


UP = frozenset({Phase.VERIFYING, Phase.RUNNING})
# What has to be over by the record's timer, or is given up.
DUE_BY = frozenset({Phase.STARTING, Phase.VERIFYING, Phase.TEARING_DOWN, Phase.STOPPING})
# Something of it may exist: it has been started, and is not confirmed gone.
ALIVE = UP | {Phase.STARTING, Phase.TEARING_DOWN, Phase.STOPPING}


class Strategy(Enum):
    """Which siblings a child's failure takes along; they come back in the order of their start."""

    ONE_FOR_ONE = "one_for_one"  # none
    REST_FOR_ONE = "rest_for_one"  # those that were started after it
    ONE_FOR_ALL = "one_for_all"  # all of them


class RestartType(Enum):
    """When a component that has ended is started again."""

    PERMANENT = "permanent"  # always
    TRANSIENT = "transient"  # after a fault, and not when it has ended in good order
    TEMPORARY = "temporary"  # never


class HandoverStep(Enum):
    """How far it is with a successor that is brought up beside a run."""

    BEGUN = "begun"
    VERIFIED = "verified"  # it does all that the run does, which can go now
    FAILED = "failed"  # it has ended, or is no longer of use


# Events: what the world says. One that carries an old epoch is counted and changes nothing.
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Configuration or an operator wants the component up or down, as `digest` describes it."""

    id: str
    up: bool
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """An operator wants it torn down and started again, with its counters cleared."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A successor of the run `epoch` is brought up beside it; `why`: that, or why it failed."""

    id: str
    epoch: int
    step: HandoverStep
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """An operator, or a parent that was reset, clears counters and re-arms FAILED."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """It has outlived an earlier manager as `epoch` of `digest`; `ending`: it is to go down."""

    id: str
    epoch: int
    digest: str
    ending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The component is built; what it needs is there and it should now prove itself."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """Media advanced for the verification time, on every track."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A fault was seen."""

    id: str
    epoch: int
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """It has ended by itself, in good order."""

    id: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The teardown is confirmed, or given up: abandoned, it is out of its successor's way."""

    id: str
    epoch: int
    abandoned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The component's timer is over."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deaf:
    """Nobody could hear the component for `late_s` seconds: the manager itself was stuck."""

    id: str
    late_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """Internal: something it needs is up again."""

    id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Internal: something it needs went down and took it along; `cause`: by a fault of its own."""

    id: str
    by: str
    cause: Cause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """Internal: a sibling's failure takes it along."""

    id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unburdened:
    """Internal: nothing that stands on it is alive any more, the last of them `by`."""

    id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """Internal: the child whose media proves this component is proven."""

    id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproved:
    """Internal: the child whose media proved this component no longer does."""

    id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated:
    """Internal: a child spent its budget, or could not be torn down."""

    id: str
    child: str
    cause: Cause
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Internal: an incident of a domain parks it; `failures` since `since_s` are not its own."""

    id: str
    by: str
    failures: int
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Internal: a domain lets it go, `at_once` or when its own wait is over."""

    id: str
    by: str
    at_once: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainDue:
    """A domain's timer is over; `id` is the domain's."""

    id: str


Event = (
    Wanted
    | Restart
    | Handover
    | Reset
    | Adopted
    | Started
    | Proved
    | Failed
    | Finished
    | Gone
    | Due
    | Deaf
    | Lifted
    | Lost
    | Swept
    | Unburdened
    | Vouched
    | Unproved
    | Escalated
    | Held
    | Admitted
    | DomainDue
)


# Actions: all that the shell can do.
@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start the component as `epoch`; without `restore`, its snapshot is set aside first."""

    id: str
    epoch: int
    restore: bool
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Tear `epoch` down within `grace_s`; always answered by Gone."""

    id: str
    epoch: int
    grace_s: float


Action = Start | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The latest fault with the rule that judged it, and when (monotonic)."""

    fault: Fault
    rule: Rule
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What stays the same in a component's life.

    parent: whom its failure escalates to; `needs`: what must be up for it to start.
    proven_by: the child whose media is the proof of this component; None: its own.
    inside: whether it runs inside its parent, whose end is its own; else it is torn down for itself
        before its parent is.
    strategy: which of its children go down with one that fails. restart: when it is restarted.
    proof: what proves it, in a word for people.
    domains: what it shares with others and can fail with, narrowest first, like "host:10.0.0.5",
        "subnet:10.0.0.0/24", "volume:main", "node".
    """

    id: str
    policy: RecoveryPolicy
    parent: str | None = None
    needs: tuple[str, ...] = ()
    proven_by: str | None = None
    inside: bool = False
    strategy: Strategy = Strategy.ONE_FOR_ONE
    restart: RestartType = RestartType.PERMANENT
    domains: tuple[str, ...] = ()
    proof: str = "media"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One component, now. Instants are monotonic seconds.

    attempts: retries since it was last stable; excused: those of them that `give_up_after` no
        longer counts, since a slow probe succeeded. restarts_total: restarts in its life.
    charged: the intensity window. resume_s: when the next attempt may begin.
    afterwards: the phase that a confirmed teardown leads to.
    ended_by: the rule that led to FAILED; it stays until something re-arms the component.
    finished: it has ended by itself in good order, and is wanted no more for that reason.
    held_by: the domain in whose queue it waits, or will once its teardown is confirmed.
    """

    spec: Spec
    digest: str = ""
    wanted: bool = False
    phase: Phase = Phase.STOPPED
    epoch: int = 0
    due_s: float | None = None
    resume_s: float | None = None
    afterwards: Phase = Phase.BACKING_OFF
    delay_s: float = 0.0
    attempts: int = 0
    excused: int = 0
    restarts_total: int = 0
    charged: tuple[float, ...] = ()
    failing_since_s: float | None = None
    proven: bool = False
    proven_at_s: float | None = None
    probing: bool = False
    same_faults: int = 0
    restore_failures: int = 0
    last: Sighting | None = None
    ended_by: str | None = None
    finished: bool = False
    held_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One step, with everything needed to explain and to replay it.

    seq: its number; because: the number of the decision that led to it.
    saw: the numbers and words that the rule looked at.
    """

    event: Event
    rule: str
    before: Record
    after: Record
    saw: Mapping[str, float | str | None] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()
    tells: tuple[Event, ...] = ()
    seq: int = 0
    because: int | None = None
    at_s: float = 0.0

    @property
    def id(self) -> str:
        """Whom it is about: a component."""
        return self.after.spec.id
