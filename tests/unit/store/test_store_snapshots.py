"""The store keeps the snapshots of any component, over supervisors that come and go."""

import asyncio
from pathlib import Path

from stream_manager.recovery import Phase
from stream_manager.store import Store
from stream_manager.supervision import Supervisor
from stream_manager.testing import FakeClock, FakeComponent


def test_a_component_goes_on_where_an_earlier_process_left_it(tmp_path: Path) -> None:
    """What was saved at the end of one supervisor is given to the first start of the next."""
    seen: list[object] = []

    async def life(position: int) -> None:
        clock, component = FakeClock(), FakeComponent(memory={"position": position})
        store = Store.open(tmp_path, clock=clock, on_fault=seen.append)
        try:
            async with Supervisor(clock=clock, snapshots=store) as supervisor:
                await supervisor.add("copier", component)
                await clock.until(supervisor.wait_until("copier", Phase.RUNNING))
                seen.append(component.run.snapshot)
        finally:
            store.close()

    for position in (7, 8):
        asyncio.run(life(position))
    assert seen == [None, {"position": 7}]
