"""Decisions in sentences: for the journal, for the log, for a tired person.

Every rule's name has its words here; a test holds the two together.
"""

from collections.abc import Callable, Mapping

from stream_manager.recovery.classify import Rule
from stream_manager.recovery.faults import Fault
from stream_manager.recovery.incident_words import told
from stream_manager.recovery.incidents import IncidentStep, Step
from stream_manager.recovery.states import Decision, Escalated, Phase, Record

# Renders a monotonic instant for people, in local time.
Wall = Callable[[float], str]

# What happened: by the name of the rule that judged the fault.
FAULTS: Mapping[str, str] = {
    "auth-never-worked": "the camera refused user or password, which never worked",
    "auth-while-booting": "the camera refused the password that worked before; it may be booting",
    "auth-refused": "the camera refused the password again",
    "rtsp-not-found": "the camera knows no stream of this path",
    "rtsp-session-lost": "the camera forgot the session",
    "rtsp-busy": "the camera is busy or not ready",
    "rtsp-transport": "the camera does not offer this transport",
    "network-errno": "the connection failed",
    "network-read-write": "the connection to the camera broke or was not made",
    "network-timeout": "the camera fell silent",
    "source-closed": "the camera ended the stream",
    "no-streams": "the camera offers no usable stream",
    "device": "the device can't be read",
    "no-space": "the disk is full",
    "storage-errno": "the disk refused",
    "storage-place": "the recording's directory can't be used",
    "storage-write": "the recording can't be written",
    "pipeline-invalid": "the configuration can't be built",
    "missing-plugin": "a GStreamer plugin is missing",
    "exit-config": "the process refused its configuration",
    "file-missing": "the file or directory is not there",
    "file-unreadable": "the file can't be read",
    "scarcity": "the machine has no room for one more process or file",
    "no-worker": "no worker process could be made",
    "out-of-memory": "the kernel killed it, for the machine had no memory left",
    "memory-limit": "it took as much memory as its limit allows",
    "memory-grown-once": "it took more memory than restart_above allows",
    "memory-grown": "it took more memory than restart_above allows",
    "crash-once": "crash",
    "crash": "crash",
    "hang-once": "it hung",
    "hang": "it hung",
    "ended": "it ended by itself",
    "stall": "{proof} stopped",
    "start-deadline": "the start brought no steady {proof} in time",
    "track-missing": "a track is missing",
    "media-once": "broken media",
    "media": "broken media",
    "no-keyframe": "pictures come, but none that can be decoded without those before",
    "negotiation": "the elements could not agree on a format",
    "own-bug": "a bug of our own",
    "unmatched": "a fault that no rule knows",
    "escalated": "a part could not be healed alone",
}
# The words that a code of the system has in a person's language.
CODES: Mapping[str, str] = {
    "ECONNREFUSED": "the camera refused the connection",
    "ECONNRESET": "the camera broke the connection off",
    "EHOSTUNREACH": "no way leads to the camera",
    "ENETUNREACH": "no way leads to the camera's network",
    "ETIMEDOUT": "the camera did not answer in time",
    "dns": "the camera's name can't be resolved",
    "MemoryError": "it was refused more memory",
    "undecodable": "its packets arrive, but no picture can be made of them",
    "no-video": "there is no video that can be recorded",
    "codec": "none of its codecs can be recorded",
    "raw-video": "raw video can't be recorded",
    "container": "this kind of file can't be played",
}
# The same where no camera is at the other end: in code that runs under a supervisor.
PLAIN_CODES: Mapping[str, str] = {
    **CODES,
    "ECONNREFUSED": "the connection was refused",
    "ECONNRESET": "the connection was broken off",
    "EHOSTUNREACH": "no way leads to the host",
    "ENETUNREACH": "no way leads to its network",
    "ETIMEDOUT": "no answer came in time",
    "dns": "the name can't be resolved",
}
# Why there is no next attempt, where it was not the fault itself.
ENDS: Mapping[str, str] = {
    "probe-failed": "the slow probe failed",
    "poison": (
        "the same fault {same_faults} times before it ever worked, and {poison_faults} are no "
        "accident"
    ),
    "temporary": "it is temporary and not restarted",
    "give-up": "give_up_after allows {allowed_retries} retries, and {retries} were used",
    "out-of-time": "give_up_after allows {allowed_s:g} s, and it fails for {failing_s:.0f} s",
    "budget-spent": "{restarts} restarts within {within_s:g} s, where {limit} are allowed",
}
# The same in a dry run, where a limit only tells what it would have done.
WOULD: Mapping[str, str] = {
    f"would-{end}": f"a dry run, or no retry would follow: {ENDS[end]}"
    for end in ("poison", "give-up", "out-of-time", "budget-spent")
}
# What else was seen of a fault, by the rule that judged it.
WITH: Mapping[str, str] = {
    "start-deadline": "{start_deadline_s:g} s are allowed",
    "escalated": "it was {child}",
}
# What was decided without a fault.
STEPS: Mapping[str, str] = {
    "wanted": "wanted",
    "unwanted": "not wanted any more",
    "configuration-changed": "its configuration changed",
    "restart-commanded": "restart commanded",
    "handover-begun": "a successor is brought up beside it: {why}",
    "handover-verified": "its successor is verified and takes over: {why}",
    "handover-failed": "its successor is given up: {why}",
    "reset-commanded": "reset commanded, counters cleared",
    "adopted": "it outlived its manager, and goes on as run {epoch}",
    "adopted-ending": "it outlived its manager while run {epoch} was being torn down",
    "started": "built",
    "proved": "{proof} advances: proven",
    "manager-was-late": "the manager itself was late by {late_s:.1f} s, and its deadline is too",
    "stable": "stable for {stable_for_s:g} s: retries forgiven",
    "child-failed": "{child} brings no {proof} any more",
    "backoff-over": "the wait is over",
    "ran-before": "it ran under an earlier manager, and does not any more",
    "slow-probe": "slow probe",
    "probe-postponed": "slow probe postponed",
    "need-is-up": "what it needs is up",
    "need-is-down": "{need} went down",
    "held": "{domain} is down, and so this is no failure of its own",
    "admitted": "its domain lets it go",
    "swept": "{by} went down and takes it along",
    "unburdened": "nothing stands on it any more",
    "finished": "it has ended in good order",
    "gone": "torn down",
    "abandoned": "its teardown hangs and is abandoned after {teardown_s:g} s",
}
REARMED = "a reset, a restart or a changed configuration re-arms it"
# Where a component stands: with its timer, and without one.
STATES: Mapping[Phase, str] = {
    Phase.STARTING: "{attempt} under way, {proof} due by {at}",
    Phase.VERIFYING: "waiting for steady {proof}, due by {at}",
    Phase.RUNNING: "healthy; {attempt} is forgiven at {at}",
    Phase.BACKING_OFF: "{attempt} at {at}",
    Phase.FAILED: f"slow probe at {{at}}; {REARMED}",
    Phase.STOPPING: "stopping, abandoned at {at} at the latest",
}
FINISHED = "it ended in good order, and is started again by command alone"
UNTIMED: Mapping[Phase, str] = {
    Phase.STOPPED: "not wanted",
    Phase.VERIFYING: "waiting for {proof} of {prover}",
    Phase.RUNNING: "healthy",
    Phase.PARKED: "waiting for {waits_for}, charged nothing",
    Phase.FAILED: f"not tried again; {REARMED}",
    Phase.STOPPING: "stopping, as soon as nothing stands on it any more",
}


def describe(decision: Step, *, wall: Wall) -> str:
    """Return one sentence: who, what happened, and what comes next, at which time.

    wall: renders a monotonic instant, in seconds, for people.
    """
    if isinstance(decision, IncidentStep):
        return told(decision, wall)
    record = decision.after
    return f"{record.spec.id}: {_what(decision)} — {_next(decision, wall)}"


def _what(decision: Decision) -> str:
    last, rule = decision.after.last, decision.rule
    if rule in STEPS:
        return STEPS[rule].format_map({"proof": decision.after.spec.proof, **decision.saw})
    assert last is not None  # every other rule judges a fault
    fault = in_words(last.fault, last.rule, proof=decision.after.spec.proof)
    why = ENDS.get(rule) or WOULD.get(rule) or WITH.get(rule)
    return f"{fault}; {why.format_map(decision.saw)}" if why else fault


def in_words(fault: Fault, rule: Rule, *, proof: str = "media") -> str:
    """Return half a sentence about a fault, which `rule` judged, with its code.

    proof: what should have proven the component that failed.
    """
    codes = PLAIN_CODES if fault.origin == "python" else CODES
    # A user's own rule is told by its name.
    words = codes.get(fault.code) or FAULTS.get(rule.name, rule.name.replace("-", " "))
    words = words.replace("{proof}", proof)
    number = fault.code if fault.status is None else f"RTSP {fault.status}"
    return f"{words} ({number})"


def _next(decision: Decision, wall: Wall) -> str:
    record = decision.after
    if any(isinstance(tell, Escalated) for tell in decision.tells):
        return f"{record.spec.parent} has to heal it"
    if record.phase is Phase.FAILED:
        return f"failed; {standing(record, wall)}"
    return standing(record, wall, awaits=decision.saw.get("waits_for"))


def standing(record: Record, wall: Wall, *, awaits: object = None) -> str:
    """Return half a sentence: what a component in its phase waits for, and until when.

    awaits: what keeps it from its start, where that is known; else it is told what it needs.
    """
    if record.phase is Phase.TEARING_DOWN:
        return _after_teardown(record, wall)
    if record.phase is Phase.STOPPED and record.finished:
        return FINISHED
    words = STATES[record.phase] if record.due_s is not None else UNTIMED[record.phase]
    return words.format(
        attempt=_attempt(record),
        at="" if record.due_s is None else wall(record.due_s),
        waits_for=record.held_by or awaits or " and ".join(record.spec.needs),
        proof=record.spec.proof,
        prover=record.spec.proven_by,
    )


def _attempt(record: Record) -> str:
    if record.probing:
        return "slow probe"
    return f"attempt {record.attempts}" if record.attempts else "start"


def _after_teardown(record: Record, wall: Wall) -> str:
    if record.afterwards is Phase.FAILED:
        return "torn down, and no retry follows"
    if record.held_by is not None:
        return f"torn down, then waiting for {record.held_by}, charged nothing"
    if record.resume_s is None:
        return "torn down, then started again"
    if record.delay_s == 0:
        return f"restart at once, attempt {record.attempts}"
    return f"attempt {record.attempts} in {record.delay_s:.1f} s, at {wall(record.resume_s)}"
