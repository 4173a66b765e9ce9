"""A component of one's own: it goes on from its snapshot, and proves itself by its progress."""

import asyncio

from stream_manager import Phase, RecoveryPolicy, Run, Snapshot, Supervisor


class Copier:
    """Counts what it has copied, and breaks once on the way."""

    def __init__(self) -> None:
        self.copied = 0
        self.has_broken = False

    async def start(self, run: Run) -> None:
        """Go on from where the last run that worked was."""
        self.copied = 0 if run.snapshot is None else run.snapshot["copied"]
        print(f"run {run.epoch} goes on from {self.copied}")
        run.create_task(self.copy(run))

    async def copy(self, run: Run) -> None:
        """Copy; what this raises is a fault of the component."""
        while True:
            await asyncio.sleep(0.05)
            if self.copied == 20 and not self.has_broken:
                self.has_broken = True
                raise OSError("the target went away")
            self.copied += 1
            run.progress()

    async def teardown(self) -> None:
        """Close what `start` opened; the tasks of the run are ended by the supervisor."""

    def snapshot(self) -> Snapshot:
        """Return what the next run goes on from."""
        return {"copied": self.copied}


async def main() -> None:
    copier = Copier()
    policy = RecoveryPolicy(verify_for_s=0.5)
    async with Supervisor() as supervisor:
        # It promises progress: without any for 5 s it is torn down and started again.
        await supervisor.add("copier", copier, policy=policy, stall_after_s=5.0)
        await supervisor.wait_until("copier", Phase.RUNNING)
        await supervisor.wait_until("copier", Phase.BACKING_OFF, Phase.STARTING)
        await supervisor.wait_until("copier", Phase.RUNNING)
        print(f"run {supervisor.status('copier').epoch} is at {copier.copied}")
        assert copier.copied > 20


if __name__ == "__main__":
    asyncio.run(main())
