"""What a stream's table means: its source with the secrets in place, its recording, its policy."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from stream_manager.config import sources
from stream_manager.config.lines import KeyPath
from stream_manager.config.placeholders import Expanded, Vault
from stream_manager.config.policies import limits_of, policy_of
from stream_manager.config.report import Report, shown
from stream_manager.config.settings import Limits, StreamSettings, Volume
from stream_manager.config.tables import OutputTable, RecordTable, RecoveryTable, StreamTable
from stream_manager.pipelines.messages import (
    MAX_PACKET_BYTES,
    Spawn,
    StartCustom,
    StartSource,
    encode,
)
from stream_manager.pipelines.spec import CustomSpec, FileSource, RecordSpec, RtspSource, StreamSpec
from stream_manager.recovery.policy import RecoveryPolicy

# What messages hold beside the stream's own values, as long as it can become.
_LONGEST_PATH = "/" * 4096
_LONGEST_INSTANCE = _LONGEST_DIGEST = "f" * 16
_LAST_EPOCH = 2**63 - 1
PARTS = frozenset({"source", "record"})  # of a worker, by their names


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReader:
    """Reads streams that share a file.

    `volumes` are all that the file names, None where their own table is wrong; `general` is
    `[recovery]`.
    """

    vault: Vault
    volumes: Mapping[str, Volume | None]
    general: RecoveryTable
    report: Report

    def read(self, table: StreamTable, path: KeyPath) -> StreamSettings | None:
        """Return the stream's settings, or None after errors."""
        source = self._source(table, path)
        record = self._record(table.record, (*path, "record")) if table.record else None
        outputs = self._outputs(table.outputs, (*path, "outputs"))
        recovery = self.general.with_own(table)
        policy = policy_of(
            recovery, own=frozenset(table.model_fields_set), path=path, report=self.report
        )
        limits = limits_of(recovery, path=path, report=self.report)
        if not table.id or source is None or policy is None or limits is None or None in outputs:
            return None
        spec = StreamSpec(
            id=table.id,
            source=source.source,
            record=record,
            outputs=tuple(it.output for it in outputs if it),
            secrets=_joined(source.secrets, *(it.secrets for it in outputs if it)),
        )
        if (size_bytes := _largest_packet_bytes(spec)) > MAX_PACKET_BYTES:
            key = "pipeline" if table.source is None else "source"
            self.report.error(
                (*path, key),
                f"{size_bytes} bytes as its worker is sent them",
                f"at most {MAX_PACKET_BYTES}",
            )
            return None
        volume = table.record.volumes[0] if table.record and record else None
        depends_on = tuple(table.depends_on)
        makes_before_break = table.handover == "make-before-break"
        if makes_before_break and isinstance(spec.source, FileSource):
            self.report.error(
                (*path, "handover"),
                f"{shown(table.handover)} beside a file",
                '"break-before-make": only what is live can be taken by two workers at once',
            )
            return None
        return StreamSettings(
            spec=spec,
            policy=policy,
            stall_after_s=recovery.stall_after,
            digest=_digest(
                spec,
                policy,
                recovery.stall_after,
                volume,
                depends_on,
                limits,
                table.handover,
            ),
            volume=volume,
            depends_on=depends_on,
            limits=limits,
            makes_before_break=makes_before_break,
        )

    def _source(self, table: StreamTable, path: KeyPath) -> sources.ParsedSource | None:
        at_source, at_pipeline = (*path, "source"), (*path, "pipeline")
        if self.report.has(at_source) and self.report.has(at_pipeline):
            self.report.error(at_pipeline, '"source" beside it', "one of the two")
            return None
        parsed = None
        if table.source is not None:
            parsed = self._parsed(table, table.source, at_source)
        elif table.pipeline is not None:
            parsed = self._parsed(table, table.pipeline, at_pipeline)
        elif not self.report.has(at_pipeline):
            self.report.require(at_source, f"{sources.EXPECTED}, or a pipeline instead")
        if parsed and not isinstance(parsed.source, RtspSource):
            self._refuse_rtsp_keys(path)
        return parsed

    def _outputs(
        self, items: Sequence[Mapping[str, object]], path: KeyPath
    ) -> list["_ParsedOutput | None"]:
        return [self._output(it, at) for at, it in self.report.read_each(OutputTable, items, path)]

    def _output(self, table: OutputTable, path: KeyPath) -> "_ParsedOutput | None":
        """Return what an output is, or None after errors."""
        if table.id in PARTS:
            taken = " nor ".join(map(shown, sorted(PARTS)))
            self.report.error(
                (*path, "id"), shown(table.id), f"a name that no other part has: not {taken}"
            )
        at = (*path, "pipeline")
        self.report.require(at, "a GStreamer bin description")
        expanded = self._expanded(table.pipeline, at) if self.report.has(at) else None
        if not table.id or expanded is None:
            return None
        try:
            read = sources.parse_description(expanded)
        except sources.SourceError as error:
            self.report.error(at, shown(table.pipeline), str(error))
            return None
        output = CustomSpec(id=table.id, description=read.text, isolate=table.isolate)
        return _ParsedOutput(output=output, secrets=read.secrets)

    def _expanded(self, text: str, at: KeyPath) -> Expanded | None:
        for placeholder in self.vault.exposed(text):
            self.report.warn(
                at, f"{placeholder}, which every user can read", "a file that others can't read"
            )
        return self.vault.expand(text, tell=partial(self.report.error, at))

    def _parsed(self, table: StreamTable, text: str, at: KeyPath) -> sources.ParsedSource | None:
        expanded = self._expanded(text, at)
        if expanded is None:
            return None
        try:
            if table.source is None:
                return sources.parse_pipeline(expanded)
            return sources.parse_source(
                expanded,
                directory=self.vault.directory,
                transport=table.transport,
                latency_ms=round(table.latency * 1000),
            )
        except sources.SourceError as error:
            self.report.error(at, shown(text), str(error))
            return None

    def _refuse_rtsp_keys(self, path: KeyPath) -> None:
        for key in ("transport", "latency"):
            if self.report.has((*path, key)):
                self.report.error(
                    (*path, key), "a key for RTSP beside another source", "it to be left out"
                )

    def _record(self, table: RecordTable, path: KeyPath) -> RecordSpec | None:
        at = (*path, "volumes")
        self.report.require(at, "the id of a volume, in an array")
        match table.volumes:
            case [volume_id] if volume_id in self.volumes:
                volume = self.volumes[volume_id]
            case [volume_id]:
                known = ", ".join(self.volumes) or "none is defined"
                self.report.error(at, shown(volume_id), f"the id of a [[volumes]] table ({known})")
                return None
            case ids:
                if "volumes" in table.model_fields_set:
                    self.report.error(
                        at, f"{len(ids)} volumes", "exactly one: more are not in this version"
                    )
                return None
        if volume is None:
            return None
        return RecordSpec(
            directory=str(volume.path), segment_s=table.segment, container=table.container
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ParsedOutput:
    output: CustomSpec
    secrets: tuple[str, ...] = field(repr=False)


def _joined(*secrets: tuple[str, ...]) -> tuple[str, ...]:
    """Return them all, longest first, as they are scrubbed."""
    return tuple(sorted({it for some in secrets for it in some}, key=lambda it: (-len(it), it)))


def _largest_packet_bytes(spec: StreamSpec) -> int:
    """Return the length of the longest message that holds what a stream's texts say."""
    start = StartSource(epoch=_LAST_EPOCH, source=spec.source)
    spawn = Spawn(
        stream=spec.id,
        instance=_LONGEST_INSTANCE,
        epoch=_LAST_EPOCH,
        digest=_LONGEST_DIGEST,
        socket_path=_LONGEST_PATH,
        log_path=_LONGEST_PATH,
        secrets=spec.secrets,
    )
    outputs = [StartCustom(epoch=_LAST_EPOCH, output=output) for output in spec.outputs]
    return max(len(encode(message)) for message in (start, spawn, *outputs))


def _digest(
    spec: StreamSpec,
    policy: RecoveryPolicy,
    stall_after_s: float | None,
    volume: str | None,
    depends_on: tuple[str, ...],
    limits: Limits,
    handover: str,
) -> str:
    values = (spec, policy, stall_after_s, volume, depends_on, limits, handover)
    described = msgspec.json.encode(values, order="sorted")
    return hashlib.sha256(described).hexdigest()[:16]
