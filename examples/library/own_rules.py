"""Rules of one's own: a library's errors are told apart, as the system's are by themselves."""

import asyncio

from stream_manager import Cause, FaultClass, Phase, Rule, Supervisor

RULES = (
    # The API is down: that is waited for, for as long as it takes, and charged to no budget.
    Rule(
        name="api-down",
        cause=Cause.NETWORK,
        fault_class=FaultClass.RECOVERABLE,
        codes={f"{__name__}.ApiDownError"},
        charged=False,
    ),
    # A refused key is not retried, nor probed: only a changed one can help.
    Rule(
        name="key-refused",
        cause=Cause.AUTH,
        fault_class=FaultClass.FATAL,
        codes={f"{__name__}.KeyRefusedError"},
        probed=False,
    ),
)


class ApiDownError(Exception):
    """What a client library raises when nobody answers."""


class KeyRefusedError(Exception):
    """What it raises for a wrong key."""


async def poll() -> None:
    raise ApiDownError("no route")


async def upload() -> None:
    raise KeyRefusedError("401")


async def main() -> None:
    async with Supervisor(rules=RULES) as supervisor:
        await supervisor.add("poll", poll)
        await supervisor.add("upload", upload)
        await supervisor.wait_until("poll", Phase.BACKING_OFF)
        await supervisor.wait_until("upload", Phase.FAILED)
        assert supervisor.status("poll").cause is Cause.NETWORK
        for id_ in ("poll", "upload"):
            print(*supervisor.explain(id_), sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
