import dataclasses

import pytest

from stream_manager.recovery import Backoff, Phase, Record, RecoveryPolicy, Spec
from stream_manager.recovery.replacing import replace

RECORD = Record(spec=Spec(id="cam", policy=RecoveryPolicy()), epoch=4, charged=(1.0, 2.0))


def test_a_copy_is_what_the_constructor_would_have_made() -> None:
    """Nobody can tell it from a record that was constructed: class, fields, hash, and frozen."""
    copy = replace(RECORD, phase=Phase.RUNNING, due_s=5.0)
    constructed = dataclasses.replace(RECORD, phase=Phase.RUNNING, due_s=5.0)
    assert type(copy) is Record
    assert copy == constructed
    assert hash(copy) == hash(constructed)
    assert repr(copy) == repr(constructed)
    with pytest.raises(dataclasses.FrozenInstanceError):
        copy.epoch = 5  # type: ignore[misc]


def test_the_original_stays_as_it_is() -> None:
    """A copy shares values with its original, but no change of one reaches the other."""
    before = dataclasses.replace(RECORD)
    replace(RECORD, epoch=9)
    assert before == RECORD


def test_an_unknown_field_is_refused() -> None:
    """A misspelt field is an error, not a change that gets lost."""
    with pytest.raises(AttributeError, match="epok"):
        replace(RECORD, epok=5)  # type: ignore[call-arg]


def test_a_class_that_validates_is_refused() -> None:
    """Values that nobody has validated can't come into being by it."""
    with pytest.raises(TypeError, match="Backoff validates its fields"):
        replace(Backoff(), cap_s=-1.0)
