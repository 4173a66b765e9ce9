"""What tests of recovery need, our own and yours.

`FakeClock` lets a supervisor live hours in no time; `FakeComponent` starts, fails and hangs as
told; `FaultScript` plays faults at their instants. `Script` plays events to the core alone.
"""

from stream_manager.testing.clock import FakeClock, settle
from stream_manager.testing.component import Act, FakeComponent, FaultScript
from stream_manager.testing.script import Script

__all__ = ["Act", "FakeClock", "FakeComponent", "FaultScript", "Script", "settle"]
