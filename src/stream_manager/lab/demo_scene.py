"""One scenario as it is played: the fault is made, and the manager watched until it has healed."""

from datetime import datetime

from stream_manager.clock import Clock
from stream_manager.errors import OutsideError
from stream_manager.lab.camera import Camera
from stream_manager.lab.demo_manager import Manager
from stream_manager.lab.demo_results import Json, Outcome, attempts
from stream_manager.lab.demo_scenarios import Scenario, Target
from stream_manager.lab.demo_story import Audience, Beat
from stream_manager.lab.proxy import Proxy

POLL_S = 0.1


class Scene:
    """Where scenarios are played: a running manager before an audience."""

    def __init__(self, manager: Manager, audience: Audience, clock: Clock) -> None:
        self._manager = manager
        self._audience = audience
        self._clock = clock
        self._seq = 0

    async def look(self) -> Json | None:
        """Show how the streams are; return it by their ids, or None while nobody answers yet."""
        status = await self._manager.status()
        if status is None:
            return None
        self._audience.show(status)
        return {it["id"]: it for it in status["streams"]}

    async def watch(self, for_s: float) -> None:
        """Show how the streams are for that long."""
        until_s = self._clock.monotonic_s() + for_s
        while self._clock.monotonic_s() < until_s:
            await self.look()
            await self._clock.sleep(POLL_S)

    async def play(self, scenario: Scenario, camera: Camera, network: Proxy) -> Outcome:
        """Make the fault, undo it when its time has come, and tell what the manager made of it.

        Returns once the stream is verified again, or at the scenario's bound.
        """
        await self._news()  # what came before is not this fault's doing
        before = await self._streams()
        target = Target(camera=camera, network=network, worker_pid=before[scenario.stream]["pid"])
        self._audience.tell(Beat.FAULT, f"{scenario.title}: {scenario.told}")
        began_at, began_s = self._clock.wall(), self._clock.monotonic_s()
        scenario.begin(target)
        end = scenario.end
        faults: list[Json] = []
        now, healed = before, False
        while not healed and self._clock.monotonic_s() - began_s < scenario.bound_s:
            await self._clock.sleep(POLL_S)
            if end is not None and self._clock.monotonic_s() - began_s >= scenario.lasts_s:
                end(target)
                end = None
            for entry in await self._news():
                if _fault_of(scenario, entry):
                    self._tell(entry, began_at, first=not faults)
                    faults.append(entry)
            earlier, now = now, await self._streams()
            over = _over(earlier[scenario.stream], now[scenario.stream])
            healed = over and bool(faults) and end is None
        outcome = Outcome.of(
            scenario,
            faults,
            began_at=began_at,
            healed=healed,
            lost_s={id_: now[id_]["outage_s_total"] - before[id_]["outage_s_total"] for id_ in now},
        )
        self._close(outcome)
        return outcome

    def _tell(self, fault: Json, began_at: datetime, *, first: bool) -> None:
        after_s = (datetime.fromisoformat(fault["at"]) - began_at).total_seconds()
        saw, rule = fault["saw"], fault["rule"]
        next_try = attempts([saw["delay_s"]] if "delay_s" in saw else [])
        if first:
            self._audience.tell(
                Beat.NOTICED,
                f"detected after {after_s:.2f} s: {fault['cause']}, {fault['code']}: {saw['text']}",
            )
            decided = f"decided by the rule {rule}: {fault['class']}, {next_try}"
        else:
            decided = f"{after_s:.2f} s: {fault['code']}, {next_try} [{rule}]"
        self._audience.tell(Beat.NOTICED, decided)

    def _close(self, outcome: Outcome) -> None:
        if outcome.flaw is not None:
            self._audience.tell(Beat.LOST, outcome.flaw)
            return
        rest = ", ".join(f"{id_} lost {lost:.2f} s" for id_, lost in outcome.others_lost_s.items())
        self._audience.tell(
            Beat.HEALED,
            f"healed: {outcome.scenario.stream} was out for {outcome.outage_s:.2f} s,"
            f" {rest or 'the others lost nothing'}",
        )

    async def _streams(self) -> Json:
        streams = await self.look()
        if streams is None:
            raise OutsideError("the manager no longer answers")
        return streams

    async def _news(self) -> list[Json]:
        entries = await self._manager.journal(after=self._seq)
        if entries:
            self._seq = entries[-1]["seq"]
        return entries


def _fault_of(scenario: Scenario, entry: Json) -> bool:
    return entry["stream"] == scenario.stream and entry["cause"] is not None


def _over(earlier: Json, now: Json) -> bool:
    """Tell whether the stream's outage has ended: then it is healthy, and the total stands."""
    healthy: bool = now["health"] == "healthy"
    return healthy and earlier["outage_s_total"] == now["outage_s_total"]
