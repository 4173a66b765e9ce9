"""Classification: what each fault of the real world is taken for."""

from dataclasses import dataclass

import pytest

from stream_manager.recovery import (
    RULES,
    Backoff,
    Cause,
    Fault,
    FaultClass,
    RecoveryPolicy,
    Rule,
    Spec,
    exit_fault,
)
from stream_manager.testing import Script

POLICY = RecoveryPolicy(backoff=Backoff(jitter="none"))
NEW, CALM, AGAIN = "never proven", "healthy for long", "the same fault a moment ago"


def resource(code: int, status: int | None = None, origin: str = "rtspsrc") -> Fault:
    """Give an error of GstResourceError, as rtspsrc reports it."""
    return Fault(origin=origin, code=f"gst-resource-error:{code}", status=status)


def stream(code: int, origin: str = "h264parse") -> Fault:
    """Give an error of GstStreamError."""
    return Fault(origin=origin, code=f"gst-stream-error:{code}")


def core(code: int, origin: str = "h264parse") -> Fault:
    """Give an error of GstCoreError."""
    return Fault(origin=origin, code=f"gst-core-error:{code}")


def seen(origin: str, code: str) -> Fault:
    """Give a fault that is no GStreamer message."""
    return Fault(origin=origin, code=code)


@dataclass(frozen=True, slots=True)
class Case:
    """In this situation, this fault, after this past, falls under this rule."""

    situation: str
    fault: Fault
    rule: str
    past: str = CALM


CASES = (
    # rtspsrc, situation by situation.
    Case("401 before the first success", resource(15, 401), "auth-never-worked", NEW),
    Case("401 of a camera that worked", resource(15, 401), "auth-while-booting"),
    Case("401 again", resource(15, 401), "auth-refused", AGAIN),
    Case("401 without details", resource(15), "auth-never-worked", NEW),
    Case("403 before the first success", resource(9, 403), "auth-never-worked", NEW),
    Case("403 of a camera that worked", resource(9, 403), "auth-while-booting"),
    Case("403 again", resource(9, 403), "auth-refused", AGAIN),
    Case("404", resource(3, 404), "rtsp-not-found"),
    Case("404 before the first success", resource(3, 404), "rtsp-not-found", NEW),
    Case("404 without details", resource(3), "rtsp-not-found"),
    Case("453 not enough bandwidth", resource(9, 453), "rtsp-busy"),
    Case("454 session not found", resource(9, 454), "rtsp-session-lost"),
    Case("461 on DESCRIBE", resource(9, 461), "rtsp-transport"),
    Case("461 on SETUP", stream(6, "rtspsrc"), "rtsp-transport"),
    Case("500", resource(9, 500), "rtsp-busy"),
    Case("503 on DESCRIBE", resource(9, 503), "rtsp-busy"),
    Case("503 on SETUP, from the debug text", resource(10, 503), "rtsp-busy"),
    Case("503 on SETUP, unread", resource(10), "network-read-write"),
    Case("no streams, or bad SDP", resource(13), "no-streams"),
    Case("refused", seen("connect", "ECONNREFUSED"), "network-errno"),
    Case("no route", seen("connect", "EHOSTUNREACH"), "network-errno"),
    Case("name not resolved", seen("connect", "dns"), "network-errno"),
    Case("reset, told by another element", seen("tcpclientsrc", "ECONNRESET"), "network-errno"),
    Case("could not connect, and nobody knows why", resource(7), "network-read-write"),
    Case("accepted, never answers", resource(9), "network-read-write"),
    Case("killed, TCP", resource(9), "network-read-write", NEW),
    Case("killed, UDP", resource(7), "network-read-write"),
    Case("frozen process", seen("rtspsrc", "timeout"), "network-timeout"),
    Case("BYE", seen("rtspsrc", "eos"), "source-closed"),
    Case("no media, RTCP alive", seen("health", "stall"), "stall"),
    Case("PLAY ok and never data", seen("health", "start-deadline"), "start-deadline", NEW),
    # Recording.
    Case("disk full", resource(14, origin="filesink"), "no-space"),
    Case("disk full, as the kernel says it", seen("fdsink", "ENOSPC"), "no-space"),
    Case("quota", seen("filesink", "EDQUOT"), "no-space"),
    Case("read-only after an error", seen("filesink", "EROFS"), "storage-errno"),
    Case("broken disk", seen("record", "EIO"), "storage-errno"),
    Case("unmounted disk", seen("filesink", "ENOENT"), "storage-place"),
    Case("directory of another user", seen("record", "EACCES"), "storage-place"),
    Case("file not opened, reason unread", resource(6, origin="filesink"), "storage-write"),
    # Configuration.
    Case("bad pipeline string", seen("source", "gst-parse-error:1"), "pipeline-invalid", NEW),
    Case("raw video from a pipeline", seen("source", "raw-video"), "pipeline-invalid", NEW),
    Case("MJPEG into MP4", seen("record", "container"), "pipeline-invalid", NEW),
    Case("missing plugin", core(12), "missing-plugin", NEW),
    Case("no decoder", stream(6, "decodebin"), "missing-plugin", NEW),
    Case("worker refuses its configuration", exit_fault(2), "exit-config", NEW),
    # Files as sources.
    Case("file missing", resource(3, origin="filesrc"), "file-missing", NEW),
    Case("file forbidden", seen("filesrc", "EACCES"), "file-unreadable", NEW),
    Case("directory as a file", resource(5, origin="filesrc"), "file-unreadable", NEW),
    Case("garbage in a file", stream(4, "qtdemux"), "media", NEW),
    Case("no video in it", seen("source", "no-video"), "media", NEW),
    Case("device unplugged", resource(9, origin="v4l2src"), "device"),
    Case("device in use", resource(4, origin="alsasrc"), "device", NEW),
    Case("device not there", resource(3, origin="v4l2src"), "file-missing"),
    # Processes.
    Case("no room for a process", seen("forkserver", "EAGAIN"), "scarcity"),
    Case("no fork server", seen("forkserver", "lost"), "no-worker"),
    Case("runtime directory gone", seen("forkserver", "ENOENT"), "no-worker"),
    Case("too many descriptors", seen("forkserver", "EMFILE"), "scarcity"),
    Case("killed for want of memory", seen("process", "SIGKILL:oom"), "out-of-memory"),
    Case("an allocation failed", seen("process", "memory-limit"), "memory-limit"),
    Case("no more for Python", seen("python", "MemoryError"), "memory-limit"),
    Case("first growth past restart_above", seen("limits", "restart-above"), "memory-grown-once"),
    Case("it grows on", seen("limits", "restart-above"), "memory-grown", AGAIN),
    Case("first crash", exit_fault(-11), "crash-once"),
    Case("second crash", exit_fault(-11), "crash", AGAIN),
    Case("crash before the first success", exit_fault(-6), "crash", NEW),
    Case("killed by hand", exit_fault(-9), "crash-once"),
    Case("exit code 1", exit_fault(1), "crash-once"),
    Case("ended, and nobody saw how", exit_fault(None), "crash-once"),
    Case("real-time signal", exit_fault(-64), "crash-once"),
    Case("first hang", seen("control", "hang"), "hang-once"),
    Case("second hang", seen("control", "hang"), "hang", AGAIN),
    Case("what came to its end", seen("component", "finished"), "ended"),
    # Media.
    Case("one broken frame", stream(7), "media-once"),
    Case("decode errors go on", stream(7), "media", AGAIN),
    Case("caps changed under matroskamux", stream(10, "matroskamux"), "media-once"),
    Case("a pipeline's stream ended", seen("source", "eos"), "media-once"),
    Case("not negotiated", core(7), "negotiation"),
    Case("audio gone", seen("health", "track-missing"), "track-missing"),
    Case("delta pictures alone", seen("health", "no-keyframe"), "no-keyframe"),
    # Ourselves, and what nobody has met yet.
    Case("our invariant broke", seen("python", "InvariantError"), "own-bug"),
    Case("an unknown code", seen("mystery", "gst-library-error:2"), "unmatched"),
)


def judge(case: Case) -> Rule:
    """Let a component with the case's past meet its fault; return the rule that judged it."""
    script = Script(Spec(id="cam", policy=POLICY))
    script.wants("cam")
    if case.past != NEW:
        script.comes_up("cam")
        script.passes(3600.0)
    if case.past == AGAIN:
        script.breaks("cam", case.fault)
        script.passes(1.0)
        script.started("cam")
    script.fails("cam", case.fault)
    last = script["cam"].last
    assert last is not None
    return last.rule


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.situation)
def test_recovery_takes_each_situation_for_what_it_is(case: Case) -> None:
    """Each measured situation falls under the rule that was written for it."""
    assert judge(case).name == case.rule


def test_every_rule_is_reached_by_a_real_situation() -> None:
    """No row of the table is dead, or hidden behind another row."""
    reached = {judge(case) for case in CASES}
    assert [rule.name for rule in RULES if rule not in reached] == []


def test_what_its_restart_can_not_cure_is_never_charged() -> None:
    """Network, not-found, storage, auth and a busy camera leave the intensity window alone."""
    outside = {Cause.NETWORK, Cause.NOT_FOUND, Cause.STORAGE, Cause.AUTH, Cause.DEVICE}
    assert [rule.name for rule in RULES if rule.cause in outside and rule.charged] == []


def test_only_what_is_the_workers_own_is_retried_at_once() -> None:
    """No rule makes a network fault TRANSIENT."""
    at_once = {rule.cause for rule in RULES if rule.fault_class is FaultClass.TRANSIENT}
    assert at_once == {Cause.CRASH, Cause.HANG, Cause.MEDIA, Cause.MEMORY}


def test_a_missing_password_is_not_probed_but_a_refused_one_is() -> None:
    """A password that never worked is left alone (accounts get locked); one that did is probed."""
    probed = {case.situation: judge(case).probed for case in CASES if "401" in case.situation}
    assert probed["401 before the first success"] is False
    assert probed["401 again"] is True


def test_an_unknown_fault_is_retried_and_named() -> None:
    """What no rule knows is RECOVERABLE with cause unknown, so that the table can grow."""
    rule = judge(Case("unknown", seen("mystery", "x"), "unmatched"))
    assert (rule.fault_class, rule.cause) == (FaultClass.RECOVERABLE, Cause.UNKNOWN)


def test_storage_faults_are_cascades() -> None:
    """Whoever writes to that disk suffers alike: the class says so."""
    storage = {rule.fault_class for rule in RULES if rule.cause is Cause.STORAGE}
    assert storage == {FaultClass.CASCADE}


@pytest.mark.parametrize(
    ("exit_code", "code"),
    [(0, "exit:0"), (2, "exit:2"), (-11, "SIGSEGV"), (-63, "signal:63"), (None, "exit:unknown")],
)
def test_an_exit_is_told_by_signal_or_code(exit_code: int | None, code: str) -> None:
    """The end of a process becomes a stable code and a sentence."""
    fault = exit_fault(exit_code)
    assert (fault.origin, fault.code) == ("process", code)
    assert fault.text.startswith("the process")


def test_a_single_auth_refusal_between_network_faults_is_a_booting_camera() -> None:
    """A camera that answers 401 while it boots is retried, and given up only when it repeats it."""
    script = Script(Spec(id="cam", policy=POLICY))
    script.wants("cam")
    script.comes_up("cam")
    told = []
    for fault in (seen("connect", "ECONNREFUSED"), resource(15, 401), resource(15, 401)):
        told += script.fails("cam", fault)
        script.gone("cam")
        script.passes(script["cam"].delay_s)
    assert told == ["cam: network-errno", "cam: auth-while-booting", "cam: auth-refused"]
