"""Why a source gave no answer: judged by the table that also judges the manager's streams."""

from dataclasses import dataclass

from stream_manager.pipelines.spec import RtspSource, Source
from stream_manager.recovery import Cause, Fault, History, advice, classify, in_words

# The first attempt of all: nothing has worked yet, and nothing failed before.
_FIRST = History(proven=False, attempts=0, last_cause=None, since_last_s=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The fault of a probe: its cause, the rule that said so, what happened, and the mend."""

    cause: str
    rule: str
    code: str
    status: int | None
    what: str
    said: str
    mend: str

    def to_json(self) -> dict[str, object]:
        """Return plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def judge(fault: Fault, source: Source) -> Verdict:
    """Return what kept `source` from being probed."""
    rule = classify(fault, _FIRST)
    what, mend = in_words(fault, rule), advice(fault, rule)
    if rule.cause is Cause.AUTH and isinstance(source, RtspSource):
        what = f"the camera refused user or password (RTSP {fault.status or 401})"
        if source.user is None:
            what = f"the camera asks for a user and a password (RTSP {fault.status or 401})"
            mend = "write them as rtsp://USER:${CAM_PASSWORD}@HOST/PATH, and export CAM_PASSWORD"
    elif rule.cause in {Cause.CRASH, Cause.HANG}:
        mend = "run: stream-manager doctor; if it comes again, report it with the camera's model"
    return Verdict(
        cause=rule.cause.value,
        rule=rule.name,
        code=fault.code,
        status=fault.status,
        what=what,
        said=fault.text,
        mend=mend,
    )
