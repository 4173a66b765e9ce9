import pytest

from stream_manager.errors import UsageError
from stream_manager.lab.picture import Picture


@pytest.mark.parametrize("picture", [Picture(), Picture(width=1280, height=720)])
def test_every_number_can_be_read_back(picture: Picture) -> None:
    """What is burnt in is what a test reads from the decoded frame."""
    numbers = [0, 1, 199, 959, 65535]
    frames = [picture.draw(number) for number in numbers]
    assert {len(frame) for frame in frames} == {picture.width * picture.height * 3 // 2}
    assert [picture.number(frame) for frame in frames] == numbers


@pytest.mark.parametrize(
    ("picture", "named"),
    [
        ({"width": 642}, "642x360"),
        ({"width": 80, "height": 80}, "80x80"),
        ({"width": 1920, "height": 360}, "1920x360"),
        ({"fps": 0}, "0/s"),
        ({"gop": 0}, "distance 0"),
    ],
)
def test_a_picture_that_can_not_be_made_is_refused(picture: dict[str, int], named: str) -> None:
    """The error names the value that was given."""
    with pytest.raises(UsageError, match=named):
        Picture(**picture)
