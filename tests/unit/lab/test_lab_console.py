import os
import signal

import pytest

from stream_manager.lab import console
from stream_manager.lab.console import Console


def test_reading_a_terminal_in_the_background_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it reads, SIGTTIN is ignored; afterwards it is what it was."""
    before = signal.getsignal(signal.SIGTTIN)
    seen: list[object] = []
    reads, writes = os.pipe()
    os.write(writes, b"cut\n")
    monkeypatch.setattr(console, "STDIN", reads)

    def obey(_line: str) -> None:
        seen.append(signal.getsignal(signal.SIGTTIN))
        reader.end()

    reader = Console(obey, complain=lambda *_: None)
    reader.run()
    assert seen == [signal.SIG_IGN]
    assert signal.getsignal(signal.SIGTTIN) == before
    os.close(writes)
