"""What a person can do about a fault, by its code or by the rule that judged it.

Every rule's name has its advice here; a test holds the two together.
"""

from collections.abc import Mapping

from stream_manager.recovery.classify import Rule
from stream_manager.recovery.faults import Fault

_ACCOUNT = (
    "put user and password right where the source is configured; it is not tried again by itself,"
    " for many cameras lock an account that fails"
)
_LOG = "read the worker's log, and report it if it comes again"
_ADDRESS = (
    "look whether the camera is on, has this address still, and answers a ping; one that does may"
    " need to be restarted"
)
_PLUGIN = "run: stream-manager doctor, which names the package that brings it"
_SPACE = "make room on that disk, or give the volume another path"
_DISK = "look whether the disk is mounted and writable: findmnt --target PATH"
_FILE = "look whether the file is there and may be read by the user that the manager runs as"
_PICTURE = "look at the camera itself: its picture, its load, its network"
_LEAK = (
    "see whether its memory grows without end (a leak: an element of its pipeline, an unbounded"
    " queue) or is its need: then raise limits"
)
_MEMORY = "look what takes the memory and the processes of this machine: ps aux --sort=-rss"

CODES: Mapping[str, str] = {
    "ECONNREFUSED": "look whether the port is right and RTSP is switched on in the camera",
    "EHOSTUNREACH": _ADDRESS,
    "ENETUNREACH": "look whether this machine has a way to that network: ip route",
    "ETIMEDOUT": _ADDRESS,
    "dns": "look whether the name is spelt right and resolves here: getent hosts NAME",
    "no-video": "give a source that has video; sound alone is not recorded",
    "codec": "set the camera to H.264, H.265 or MJPEG",
    "raw-video": "end the pipeline with an encoder, like: ! x264enc tune=zerolatency",
    "container": "give an MP4, Matroska or MPEG-TS file",
}
RULES: Mapping[str, str] = {
    "auth-never-worked": _ACCOUNT,
    "auth-while-booting": "nothing, if the camera is booting; else see to its user and password",
    "auth-refused": "see whether user or password were changed in the camera",
    "rtsp-not-found": "look up the path after the port in the camera's manual; it is its maker's",
    "rtsp-session-lost": "nothing: it is asked for a new session",
    "rtsp-busy": "see how many clients the camera serves already, and restart it if it stays so",
    "rtsp-transport": 'set the other transport: transport = "udp" or "tcp"',
    "network-errno": _ADDRESS,
    "network-read-write": _ADDRESS,
    "network-timeout": _ADDRESS,
    "source-closed": "see whether the camera restarts, or serves too many clients",
    "no-streams": "look whether that path of the camera offers video",
    "device": "see whether the device is plugged in, and whether something else uses it",
    "no-space": _SPACE,
    "storage-errno": _DISK,
    "storage-place": _DISK,
    "storage-write": _DISK,
    "pipeline-invalid": "put the source right in the configuration",
    "missing-plugin": _PLUGIN,
    "exit-config": "run: stream-manager check CONFIG.toml",
    "file-missing": _FILE,
    "file-unreadable": _FILE,
    "scarcity": _MEMORY,
    "no-worker": "look into the log of the fork server",
    "out-of-memory": _MEMORY,
    "memory-limit": _LEAK,
    "memory-grown-once": _LEAK,
    "memory-grown": _LEAK,
    "crash-once": _LOG,
    "crash": _LOG,
    "hang-once": _LOG,
    "hang": _LOG,
    "ended": "let it go on for ever, or give it the restart type transient",
    "stall": _PICTURE,
    "start-deadline": 'look at the camera\'s picture; through firewalls transport = "tcp" helps',
    "track-missing": "see whether that track was switched off in the camera",
    "media-once": _PICTURE,
    "media": _PICTURE,
    "no-keyframe": "set a shorter keyframe interval in the camera, or a start_deadline above it",
    "negotiation": _LOG,
    "own-bug": "report it, with the journal and the worker's log",
    "unmatched": "report it, with the journal: the table of rules can grow",
    "escalated": "see what its part says",
}


def advice(fault: Fault, rule: Rule) -> str:
    """Return what a person can do about `fault`, which `rule` judged: half a sentence."""
    own = f"see what your rule {rule.name} was written for"
    return CODES.get(fault.code) or RULES.get(rule.name, own)
