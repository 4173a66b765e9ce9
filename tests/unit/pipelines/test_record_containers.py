import pytest

from stream_manager.pipelines.containers import ContainerError, choose


@pytest.mark.parametrize(
    ("codecs", "expected"),
    [
        (["H264", "AAC"], "ts"),
        (["H265", "OPUS"], "ts"),
        (["JPEG"], "mkv"),
        (["H264", "PCMU"], "mkv"),
        (["H264", "PCM"], "mkv"),
    ],
)
def test_auto_is_mpeg_ts_where_every_track_fits(codecs: list[str], expected: str) -> None:
    """MPEG-TS survives every cut, so it goes first; Matroska takes the rest."""
    assert choose("auto", codecs) == expected


@pytest.mark.parametrize("container", ["ts", "mp4"])
def test_a_misfit_names_codec_container_and_mend(container: str) -> None:
    """The error is enough to correct the configuration."""
    with pytest.raises(ContainerError, match=rf'PCMU .*{container}.* set container = "auto"'):
        choose(container, ["H264", "PCMU"])  # type: ignore[arg-type] # parametrised words
