"""Images decoded ahead: what is kept is what was decoded; what is of no use is decoded again."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from indexer.images import DecodedImage, InputSpec, Limits, content_hash, decode
from indexer.metadata import Metadata
from indexer.prepared import PreparedImages, holds, name_of
from indexer.storage import Storage

SPECS = (InputSpec(64), InputSpec(48, "crop", "bicubic"))


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedImages:
    """Nothing is kept yet."""
    return PreparedImages(Storage(str(tmp_path / "store")))


@pytest.fixture
def decoded(photographs: list[Path]) -> DecodedImage:
    """A photograph with metadata of its own."""
    return decode(photographs[0].read_bytes(), SPECS, Limits())


def test_what_is_kept_is_what_was_decoded(prepared: PreparedImages, decoded: DecodedImage) -> None:
    """Every pixel and every fact, also for models that want less than was kept, in another order."""
    prepared.keep(decoded, SPECS)
    found = prepared.read(decoded.content_hash, SPECS[::-1])
    assert found is not None
    for kept, given in zip(found.inputs, decoded.inputs[::-1], strict=True):
        assert np.array_equal(kept, given)
    for name in ("content_hash", "size_bytes", "format", "width", "height", "thumbnail", "metadata"):
        assert getattr(found, name) == getattr(decoded, name)
    assert prepared.all() == [decoded.content_hash]


def test_metadata_survives(prepared: PreparedImages, decoded: DecodedImage) -> None:
    """Dates, places and keywords in any language."""
    facts = Metadata(datetime(2024, 5, 6, 7, 8, tzinfo=UTC), "Füße", None, "東京", ("a", "ж"), 1.5, -2.25)
    prepared.keep(replace(decoded, metadata=facts), SPECS)
    found = prepared.read(decoded.content_hash, SPECS)
    assert found is not None
    assert found.metadata == facts


def test_what_is_gone_damaged_or_for_others_is_of_no_use(
    prepared: PreparedImages, decoded: DecodedImage, tmp_path: Path
) -> None:
    """None is answered, so that the image is decoded again."""
    assert prepared.read(decoded.content_hash, SPECS) is None
    prepared.keep(decoded, SPECS)
    assert prepared.read(decoded.content_hash, [InputSpec(32)]) is None
    [file] = (path for path in (tmp_path / "store/prepared").rglob("*") if path.is_file())
    for damaged in (file.read_bytes()[:-100], b"not a file of ours", b"PK\x03\x04" + bytes(100)):
        file.write_bytes(damaged)
        assert prepared.read(decoded.content_hash, SPECS) is None
    prepared.forget(decoded.content_hash)
    prepared.forget(decoded.content_hash)
    assert prepared.all() == []


def test_no_code_in_it_runs(prepared: PreparedImages, tmp_path: Path) -> None:
    """A file somebody else put there is no way in."""
    trap = np.array([print], dtype=object)
    path = tmp_path / "trap.npz"
    np.savez(path, **{SPECS[0].name: trap}, allow_pickle=True)
    identity = content_hash(b"trap")
    Storage(str(tmp_path / "store")).put_prepared(identity, path.read_bytes())
    assert prepared.read(identity, SPECS[:1]) is None


def test_names_say_which_models_it_is_for() -> None:
    """What a model wants must all be there."""
    assert holds(name_of(SPECS), SPECS[:1])
    assert not holds(name_of(SPECS[:1]), SPECS)
    assert not holds("", SPECS)
    assert not holds(None, SPECS)
    assert [InputSpec.named(spec.name) for spec in SPECS] == list(SPECS)
    for wrong in ("", "64", "64-squash", "64-squash-magic", "x-crop-bicubic", "64-pad-bilinear"):
        with pytest.raises(ValueError, match=r"unpack|pixels|literal"):
            InputSpec.named(wrong)
