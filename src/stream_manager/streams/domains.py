"""Which domains a stream's parts share with others: what they can fail with, narrowest first."""

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from stream_manager.config import StreamSettings
from stream_manager.pipelines.spec import RtspSource


def source_domains(settings: StreamSettings) -> tuple[str, ...]:
    """Return the host of a camera and its subnet, then what the configuration names."""
    source = settings.spec.source
    derived = _of_host(source, settings.spec.secrets) if isinstance(source, RtspSource) else ()
    return tuple(dict.fromkeys((*derived, *settings.depends_on)))


def record_domains(settings: StreamSettings) -> tuple[str, ...]:
    """Return the volume that a stream is recorded to."""
    return () if settings.volume is None else (f"volume:{settings.volume}",)


def _of_host(source: RtspSource, secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Derive domains from an address; one that holds a secret must not be shown, and has none."""
    host = urlsplit(source.url).hostname or ""
    if any(secret in host for secret in secrets):
        return ()
    try:
        address = ip_address(host)
    except ValueError:
        return (f"host:{host}",)
    by_host = f"host:{address}"
    if address.is_loopback:
        return (by_host,)
    prefix = 24 if address.version == 4 else 64
    return by_host, f"subnet:{ip_network((int(address), prefix), strict=False)}"
