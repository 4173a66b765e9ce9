"""How a service that is supervised is tested: hours pass in no time. Run it with pytest."""

import asyncio

from stream_manager import Backoff, Phase, RecoveryPolicy, Supervisor
from stream_manager.testing import Act, FakeClock, FakeComponent, FaultScript

POLICY = RecoveryPolicy(backoff=Backoff(base_s=1.0, cap_s=60.0, jitter="none"), stable_for_s=120.0)
REFUSED = ConnectionRefusedError(111, "nobody listens")


def test_an_outage_of_a_minute_is_survived() -> None:
    """The waits double, and nothing is given up, for a network is waited for."""

    async def scenario() -> None:
        clock, broker = FakeClock(), FakeComponent(starts=[REFUSED] * 6)
        began_s = clock.monotonic_s()
        async with Supervisor(clock=clock) as supervisor:
            await supervisor.add("broker", broker, policy=POLICY)
            await clock.until(supervisor.wait_until("broker", Phase.RUNNING))
            waited_s = 1 + 2 + 4 + 8 + 16 + 32
            assert clock.monotonic_s() - began_s == waited_s + POLICY.verify_for_s

    asyncio.run(scenario())


def test_a_teardown_that_hangs_does_not_keep_us() -> None:
    """The next run starts all the same, after twice `teardown_s`."""

    async def scenario() -> None:
        clock, broker = FakeClock(), FakeComponent(teardowns=[Act.HANG])
        async with Supervisor(clock=clock) as supervisor:
            await supervisor.add("broker", broker, policy=POLICY)
            await FaultScript((30.0, broker, REFUSED)).play(clock)
            await clock.until(supervisor.wait_until("broker", Phase.RUNNING))
            assert broker.told == ["start 1", "teardown 1", "start 2"]

    asyncio.run(scenario())
