"""The one HTTP API of a running manager."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Query, Request, status
from fastapi.responses import JSONResponse

from stream_manager.api.guard import Guard
from stream_manager.api.models import Explanation, Reloaded, Status
from stream_manager.api.service import Service, Verb
from stream_manager.errors import UsageError
from stream_manager.version import __version__

PREFIX = "/api/v1"
LONGEST_POLL_S = 25.0
LARGEST_PAGE = 1000

Stream = Annotated[str, Path(description="A configured stream's id")]


def create_app(
    service: Service,
    *,
    reload: Callable[[], Awaitable[dict[str, Any]]],
    answering: asyncio.Event | None = None,
) -> FastAPI:
    """Return the ASGI application over `service`; serve() runs it.

    reload: reads the configuration again and returns what models.Reloaded describes; raises
    UsageError where it is refused and nothing was changed. answering: set once requests are taken.
    """
    app = FastAPI(
        title="stream-manager",
        version=__version__,
        docs_url=None,  # its pages would come from the network
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    app.state.answering = answering or asyncio.Event()
    app.state.closing = asyncio.Event()
    app.add_middleware(Guard)

    @app.get(f"{PREFIX}/status")
    async def read_status() -> Status:
        return Status.model_validate(service.status())

    @app.get(f"{PREFIX}/journal")
    async def read_journal(
        stream: str | None = None,
        after: Annotated[int | None, Query(ge=0)] = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
        wait_s: Annotated[float, Query(ge=0, le=LONGEST_POLL_S)] = 0.0,
    ) -> list[dict[str, object]]:
        # A stream that is no longer configured keeps its history.
        if (
            stream is not None
            and stream not in service.stream_ids()
            and not await service.journal(stream, None, 1, 0.0)
        ):
            raise _unknown(stream, service)
        reading = asyncio.ensure_future(service.journal(stream, after, limit, wait_s))
        closing = asyncio.ensure_future(app.state.closing.wait())
        try:
            await asyncio.wait({reading, closing}, return_when=asyncio.FIRST_COMPLETED)
            return [entry.to_json() for entry in reading.result()] if reading.done() else []
        finally:
            reading.cancel()
            closing.cancel()
            await asyncio.gather(reading, closing, return_exceptions=True)

    @app.get(f"{PREFIX}/streams/{{stream}}/explain")
    async def explain(stream: Stream) -> Explanation:
        return Explanation.model_validate(await service.explain(_known(stream, service)))

    @app.post(f"{PREFIX}/streams/{{stream}}/{{verb}}", status_code=status.HTTP_202_ACCEPTED)
    async def command(stream: Stream, verb: Verb) -> dict[str, str]:
        await service.command(_known(stream, service), verb)
        return {"stream": stream, "accepted": verb}

    @app.post(f"{PREFIX}/reload")
    async def read_configuration() -> Reloaded:
        return Reloaded.model_validate(await reload())

    @app.post(f"{PREFIX}/shutdown", status_code=status.HTTP_202_ACCEPTED)
    async def shutdown() -> dict[str, str]:
        service.shutdown()
        return {"accepted": "shutdown"}

    @app.exception_handler(UsageError)
    async def refuse(_request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status.HTTP_409_CONFLICT)

    return app


def _known(stream: str, service: Service) -> str:
    if stream not in service.stream_ids():
        raise _unknown(stream, service)
    return stream


def _unknown(stream: str, service: Service) -> HTTPException:
    there = ", ".join(service.stream_ids()) or "none"
    return HTTPException(status.HTTP_404_NOT_FOUND, f'no stream "{stream}"; there are: {there}')
