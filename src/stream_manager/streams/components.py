"""A stream's components, as the recovery core knows them: a worker, and what runs inside it."""

from stream_manager.config import StreamSettings
from stream_manager.recovery import Spec
from stream_manager.streams.domains import WORKER_DOMAINS, record_domains, source_domains


def components(settings: StreamSettings) -> tuple[Spec, ...]:
    """Return the worker, proven by its source; the source; the outputs, the recorder first."""
    spec, policy = settings.spec, settings.policy
    worker, source = spec.id, f"{spec.id}/source"
    domains = {f"{worker}/record": record_domains(settings)} if spec.record is not None else {}
    domains |= {f"{worker}/{output.id}": () for output in spec.outputs if not output.isolate}
    return (
        Spec(id=worker, policy=policy, proven_by=source, domains=WORKER_DOMAINS),
        Spec(
            id=source,
            policy=policy,
            parent=worker,
            needs=(worker,),
            inside=True,
            domains=source_domains(settings),
        ),
        *(
            Spec(
                id=output,
                policy=policy,
                parent=worker,
                needs=(worker, source),
                inside=True,
                domains=own,
            )
            for output, own in domains.items()
        ),
        *(
            # No child: what it does to itself must not replace the worker whose media it takes.
            Spec(
                id=f"{worker}/{output.id}",
                policy=policy,
                needs=(worker, source),
                domains=WORKER_DOMAINS,
            )
            for output in spec.outputs
            if output.isolate
        ),
    )
