"""Has files measured by a process of its own, so that no broken file can cost the manager."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from stream_manager.pipelines.measurement import Measurement

COMMAND = (sys.executable, "-m", "stream_manager.pipelines.measure")
# One file takes milliseconds; a large one on a slow disk may take its time.
ANSWER_WITHIN_S = 90.0
GONE_WITHIN_S = 5.0
LINE_LIMIT_BYTES = 1 << 20

_decode = msgspec.json.Decoder(Measurement).decode


async def measure(paths: Sequence[Path]) -> AsyncIterator[Measurement]:
    """Yield what each file holds, in order; one that ends or hangs the reader is unreadable."""
    waiting = list(paths)
    while waiting:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=LINE_LIMIT_BYTES,
        )
        try:
            while waiting:
                path = waiting.pop(0)
                answer = await _answer(process, path)
                if answer is None:
                    error = "reading it ended the process that read it, or takes too long"
                    yield Measurement(path=str(path), whole=False, error=error)
                    break  # and go on with a new process
                yield answer
        finally:
            if process.returncode is None:
                process.kill()
                with suppress(TimeoutError):  # one that a hung disk holds ends when the disk does
                    await asyncio.wait_for(process.wait(), GONE_WITHIN_S)


async def _answer(process: asyncio.subprocess.Process, path: Path) -> Measurement | None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            process.stdin.write(msgspec.json.encode(str(path)) + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
        return _decode(line)
    except (TimeoutError, OSError, ValueError, msgspec.MsgspecError):
        return None
