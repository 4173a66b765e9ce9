import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream_manager.cli import main


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Write a configuration whose directories lie too deep for a plain Unix socket address."""
    path = tmp_path / "cameras.toml"
    deep = "d" * 100
    path.write_text(
        f'[manager]\nstate_dir = "{deep}/state"\nruntime_dir = "{deep}/run"\n'
        '[[streams]]\nid = "front-door"\nsource = "test:"\n'
    )
    return str(path)


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in this process; return its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stream-manager", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand where local time is an hour ahead of UTC in January."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()
