"""What streams share: domains derived from addresses and volumes, and incidents in the status."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as with_fields
from tests.unit.streams.simulated import POLICY, Simulation, settings_of, simulated

from stream_manager.pipelines.spec import FileSource, PipelineSource, RtspSource, Source, TestSource
from stream_manager.recovery import Fault, Spec
from stream_manager.streams.domains import record_domains, source_domains
from stream_manager.streams.views import domains_status, utc
from stream_manager.testing import FakeClock, Script

HOST = "host:10.0.0.5"
REFUSED = Fault(origin="connect", code="ECONNREFUSED")


@pytest.mark.parametrize(
    ("url", "domains"),
    [
        ("rtsp://10.1.2.3/x", ("host:10.1.2.3", "subnet:10.1.2.0/24")),
        ("rtsp://10.1.2.3:8554/y?z=1", ("host:10.1.2.3", "subnet:10.1.2.0/24")),
        ("rtsp://[2001:DB8::0:1]:554/x", ("host:2001:db8::1", "subnet:2001:db8::/64")),
        ("rtsp://[fe80::1%eth0]/x", ("host:fe80::1%eth0", "subnet:fe80::/64")),
        ("rtsp://NVR.Local:554/x", ("host:nvr.local",)),
        ("rtsp://localhost/x", ("host:localhost",)),
        ("rtsp://127.0.0.2:1/x", ("host:127.0.0.2",)),
        ("rtsp://[::1]/x", ("host:::1",)),
    ],
)
def test_a_camera_shares_its_host_and_its_subnet(url: str, domains: tuple[str, ...]) -> None:
    """The host comes first; a name tells no subnet, and what is behind a loopback shares none."""
    assert source_domains(settings_of(source=RtspSource(url=url))) == domains


@pytest.mark.parametrize(
    "source", [FileSource(path="/a"), TestSource(), PipelineSource(description="videotestsrc")]
)
def test_a_source_without_an_address_has_only_what_the_user_names(source: Source) -> None:
    """Files, pictures and pipelines have no host."""
    settings = settings_of(source=source)
    assert source_domains(settings) == ()
    named = ("api:billing", "room:2")
    assert source_domains(replace(settings, depends_on=named)) == named


@pytest.mark.parametrize(
    ("description", "domains"),
    [
        ("v4l2src device=/dev/video0 ! jpegdec", ("device:/dev/video0",)),
        ('v4l2src do-timestamp=true device = "/dev/video0" ! jpegdec', ("device:/dev/video0",)),
        (
            "v4l2src device=/dev/v1 ! a alsasrc device=hw:1,0 ! b",
            ("device:/dev/v1", "device:hw:1,0"),
        ),
        ("v4l2src ! jpegdec", ()),
        ("videotestsrc ! avenc device=/dev/video0", ()),
        ("v4l2src device=/dev/secret-7 ! jpegdec", ()),
    ],
)
def test_a_pipeline_shares_the_devices_that_it_reads(
    description: str, domains: tuple[str, ...]
) -> None:
    """Those that its sources name, but for a name that holds a secret."""
    settings = settings_of(source=PipelineSource(description=description))
    secret = replace(settings, spec=with_fields(settings.spec, secrets=("secret",)))
    assert source_domains(secret) == domains


def test_what_the_user_names_comes_after_what_is_derived_and_once() -> None:
    """Narrowest first; a domain that is known already is not named twice."""
    settings = settings_of(source=RtspSource(url="rtsp://10.1.2.3/x"))
    named = replace(settings, depends_on=("api:billing", "host:10.1.2.3"))
    assert source_domains(named) == ("host:10.1.2.3", "subnet:10.1.2.0/24", "api:billing")


def test_a_host_that_is_a_secret_is_no_domain() -> None:
    """Domains stand in the journal and in the log, where no secret may be."""
    settings = settings_of(source=RtspSource(url="rtsp://hidden.example/x"))
    secret = replace(settings, spec=with_fields(settings.spec, secrets=("hidden.example",)))
    assert source_domains(secret) == ()
    settings = settings_of(source=RtspSource(url="rtsp://10.1.2.3/x"))
    secret = replace(settings, spec=with_fields(settings.spec, secrets=("10.1.2.3",)))
    assert source_domains(secret) == ()


def test_a_recording_shares_its_volume() -> None:
    """And what is not recorded shares none."""
    assert record_domains(settings_of()) == ("volume:main",)
    assert record_domains(settings_of(record=False)) == ()


def test_the_parts_of_a_stream_are_members_of_their_domains(tmp_path: Path) -> None:
    """The source has the host, the recorder the volume, and the worker the machine."""

    async def script(it: Simulation) -> None:
        domains = {id_: it.stream.record_of(id_).spec.domains for id_ in it.stream.ids}
        assert domains == {
            "cam": ("node",),
            "cam/source": ("host:nvr",),
            "cam/record": ("volume:main",),
        }

    simulated(tmp_path, script, source=RtspSource(url="rtsp://nvr/x"))


def test_the_status_follows_an_incident_from_its_begin_to_its_end() -> None:
    """Who waits, who tries and when the next one may, in every state; nothing without one."""
    ids = ["door/source", "yard/source", "gate/source", "dock/source"]
    script = Script(*(Spec(id=id_, policy=POLICY, domains=(HOST,)) for id_ in ids))
    clock = FakeClock()
    for id_ in ids:
        script.wants(id_)
        script.comes_up(id_)
    script.passes(10.0)
    clock.now_s = script.now_s
    assert domains_status(script.manager, clock) == []

    for id_ in ids[:3]:
        script.breaks(id_, REFUSED)
    suspected = {
        "domain": HOST,
        "state": "suspected",
        "cause": "network",
        "since": utc(10.0, clock),
        "members": 3,
        "waiting": 3,
        "probe": None,
        "next_probe_in_s": 2.0,
    }
    assert domains_status(script.manager, clock) == [suspected]
    script.passes(0.5)
    script.breaks(ids[3], REFUSED)
    script.passes(0.5)
    clock.now_s = script.now_s
    (found,) = domains_status(script.manager, clock)
    assert found == {**suspected, "members": 4, "waiting": 4, "next_probe_in_s": 1.0}

    script.passes(1.0)
    clock.now_s = script.now_s
    (found,) = domains_status(script.manager, clock)
    assert (found["state"], found["waiting"], found["next_probe_in_s"]) == ("open", 3, None)
    assert found["probe"] == "door/source"
    script.breaks("door/source", REFUSED)
    (found,) = domains_status(script.manager, clock)
    assert (found["probe"], found["waiting"], found["next_probe_in_s"]) == (None, 4, 2.0)

    script.passes(2.0)
    script.comes_up("yard/source")
    (found,) = domains_status(script.manager, clock)
    assert (found["state"], found["waiting"], found["next_probe_in_s"]) == ("ramping", 0, None)
    for id_ in ("door/source", "gate/source", "dock/source"):
        script.comes_up(id_)
    assert domains_status(script.manager, clock) == []
