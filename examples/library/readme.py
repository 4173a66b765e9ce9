"""A reader of a server that is down at first: it is healed, and says why it is as it is."""

import asyncio
import logging

from stream_manager import Backoff, Phase, RecoveryPolicy, Supervisor

HOST, PORT = "127.0.0.1", 9017


async def ingest() -> None:
    """Read lines for ever; whatever goes wrong is simply raised."""
    reader, writer = await asyncio.open_connection(HOST, PORT)
    try:
        while line := await reader.readline():
            print("read", line.decode().strip())
    finally:
        writer.close()


async def main() -> None:
    policy = RecoveryPolicy(backoff=Backoff(base_s=0.2, cap_s=5.0))
    async with Supervisor() as supervisor:
        await supervisor.add("ingest", ingest, policy=policy, depends_on=[f"host:{HOST}"])
        await supervisor.wait_until("ingest", Phase.BACKING_OFF)
        print(*supervisor.explain("ingest"), sep="\n")
        async with await asyncio.start_server(serve, HOST, PORT):
            await supervisor.wait_until("ingest", Phase.RUNNING)
            print(*supervisor.explain("ingest"), sep="\n")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be the server: a line, and then nothing until the reader leaves."""
    writer.write(b"a line\n")
    await reader.read()
    writer.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    asyncio.run(main())
