"""A program under the supervisor: it is killed, and runs again before anybody notices."""

import asyncio
import os
import signal

from stream_manager import Phase, RecoveryPolicy, Subprocess, Supervisor


async def main() -> None:
    program = Subprocess(["sleep", "600"])
    policy = RecoveryPolicy(verify_for_s=0.5, teardown_s=1.0)
    async with Supervisor() as supervisor:
        await supervisor.add("worker", program, policy=policy)
        await supervisor.wait_until("worker", Phase.RUNNING)
        first = program.pid
        assert first is not None

        os.kill(first, signal.SIGKILL)
        await supervisor.wait_until("worker", Phase.TEARING_DOWN)
        await supervisor.wait_until("worker", Phase.RUNNING)
        assert program.pid not in {None, first}
        print(*supervisor.explain("worker"), sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
