import subprocess
from typing import Any

import pytest

from stream_manager.lab.proxy import Proxy


def test_a_start_that_is_interrupted_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it waits for the network ends the process that was started."""
    started: list[subprocess.Popen[bytes]] = []
    really = subprocess.Popen

    def popen(*args: Any, **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - as Popen's
        started.append(really(*args, **options))
        return started[-1]

    def interrupted(_: Proxy) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(Proxy, "_next_answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Proxy(to="127.0.0.1:1").start()
    assert [process.returncode is not None for process in started] == [True]
