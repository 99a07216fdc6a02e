"""A worker opens a data set once for all stages of a sweep: its methods differ in what they make of the images."""

from dataclasses import replace

import pytest

from dfcil_core.config import DataRecipe
from dfcil_core.data import open as opening
from dfcil_core.data.catalog import DATASETS
from dfcil_core.errors import DataMismatch

DIGITS = DataRecipe("digits", DATASETS["digits"].digest, 8)


@pytest.fixture
def opened(monkeypatch):
    """How often images were read, and how often their moments were computed."""
    counts = {"read": 0, "measured": 0}
    opener, moments = opening._opener, opening.moments

    def read(name):
        counts["read"] += 1
        return opener(name)

    def measured(train):
        counts["measured"] += 1
        return moments(train)

    monkeypatch.setattr(opening, "_opener", read)
    monkeypatch.setattr(opening, "moments", measured)
    opening._opened.cache_clear()
    yield counts
    opening._opened.cache_clear()


def test_methods_share_the_images_and_their_moments(opened):
    first = opening.open_data(DIGITS, None)
    other = replace(DIGITS, augmentation="normalise-crop", mean=(0.5,) * 3, std=(0.25,) * 3)
    second, third = opening.open_data(other, None), opening.open_data(DIGITS, None)
    assert first.train is second.train is third.train
    assert second.mean == (0.5,) * 3 and second.std == (0.25,) * 3
    assert first.mean == third.mean != second.mean
    assert opened == {"read": 1, "measured": 1}


def test_other_images_are_opened_anew_and_the_last_ones_alone_are_kept(opened):
    small = opening.open_data(DIGITS, None)
    assert opening.open_data(replace(DIGITS, image_size=16), None).train.pixels.shape[-1] == 16
    assert opening.open_data(DIGITS, None).train is not small.train
    assert opened["read"] == 3


def test_another_digest_is_another_data_set(opened):
    opening.open_data(DIGITS, None)
    with pytest.raises(DataMismatch):
        opening.open_data(replace(DIGITS, digest="sha256:0"), None)
