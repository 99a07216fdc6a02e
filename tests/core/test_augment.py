"""The training augmentation draws its own numbers for every image, in the published order and ranges."""

import pytest
import torch

from dfcil_core import augment

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.1)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


class Scripted:
    """Stands for torch.rand: gives the draws that a test wrote down."""

    def __init__(self, monkeypatch, *draws):
        self.draws = list(draws)
        monkeypatch.setattr(augment.torch, "rand", lambda *_, **__: self.draws.pop(0))


def test_brightness_then_contrast_by_hand(monkeypatch):
    # Draws: brightness 1 + 63/255, contrast 0.2, brightness first.
    Scripted(monkeypatch, torch.tensor([[1.0], [0.0], [0.0]]))
    image = torch.tensor([100.0, 200.0, 250.0]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
    after = augment.jitter(image, rng())
    bright = [min(255.0, value * (1 + 63 / 255)) for value in (100, 200, 250)]
    grey = 0.2989 * bright[0] + 0.587 * bright[1] + 0.114 * bright[2]
    torch.testing.assert_close(after[0, :, 0, 0], torch.tensor([0.2 * value + 0.8 * grey for value in bright]))


def test_contrast_then_brightness_by_hand(monkeypatch):
    Scripted(monkeypatch, torch.tensor([[0.0], [1.0], [1.0]]))
    # Two pixels of grey 40 and 160, mean 100; contrast 1.8 gives -8 (clamped to 0) and 208.
    image = torch.tensor([40.0, 160.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    after = augment.jitter(image, rng())
    mean = 100 * (0.2989 + 0.587 + 0.114)
    contrasted = [max(0.0, 1.8 * 40 - 0.8 * mean), 1.8 * 160 - 0.8 * mean]
    torch.testing.assert_close(after[0, 0, 0], torch.tensor([value * (1 - 63 / 255) for value in contrasted]))


def test_every_image_has_its_own_numbers():
    images = torch.full((64, 3, 8, 8), 100.0)
    images[:, :, ::2] = 50
    after = augment.jitter(images, rng())
    assert len({round(float(image.mean()), 4) for image in after}) == 64


def test_jitter_stays_in_range():
    after = augment.jitter(255 * torch.rand(256, 3, 8, 8, generator=rng()), rng(1))
    assert after.min() >= 0 and after.max() <= 255


def test_flip_mirrors_half_of_the_images():
    images = torch.arange(4.0).view(1, 1, 1, 4).expand(1000, 3, 1, 4)
    after = augment.flip(images, rng())
    mirrored = (after[:, 0, 0, 0] == 3).sum()
    assert 430 < mirrored < 570
    assert {tuple(row.tolist()) for row in after[:, 0, 0]} == {(0, 1, 2, 3), (3, 2, 1, 0)}


def test_crops_are_all_shifts_of_the_padded_image():
    image = torch.arange(1.0, 65.0).view(1, 1, 8, 8).expand(400, 3, 8, 8)
    after = augment.crop(image, 1, rng())
    padded = torch.zeros(10, 10)
    padded[1:9, 1:9] = image[0, 0]
    windows = [padded[row : row + 8, column : column + 8] for row in range(3) for column in range(3)]
    found = [sum(bool((crop[0] == window).all()) for crop in after) for window in windows]
    assert sum(found) == 400 and min(found) > 15
    assert (after[:, 0] == after[:, 2]).all()


def test_normalise_by_hand():
    pixels = torch.tensor([[255, 51, 0]], dtype=torch.uint8).view(1, 3, 1, 1)
    after = augment.Augmentation("jitter-crop", MEAN, STD, torch.device("cpu")).normalise(pixels)
    torch.testing.assert_close(after.flatten(), torch.tensor([(1 - 0.5) / 0.2, (0.2 - 0.4) / 0.25, (0 - 0.3) / 0.1]))


def test_digits_are_never_flipped():
    pixels = torch.zeros(500, 3, 8, 8, dtype=torch.uint8)
    pixels[:, :, :, 0] = 200
    augmented = augment.Augmentation("jitter-crop", (0.0,) * 3, (1.0,) * 3, torch.device("cpu"))(pixels, rng())
    assert not (augmented[:, 0, 4, 7] > augmented[:, 0, 4, 3]).any()
    flipped = augment.Augmentation("jitter-flip-crop", (0.0,) * 3, (1.0,) * 3, torch.device("cpu"))(pixels, rng())
    assert (flipped[:, 0, 4, 7] > flipped[:, 0, 4, 3]).any()


def test_same_stream_same_batch():
    pixels = (255 * torch.rand(16, 3, 8, 8, generator=rng())).to(torch.uint8)
    augmentation = augment.Augmentation("jitter-flip-crop", MEAN, STD, torch.device("cpu"))
    assert torch.equal(augmentation(pixels, rng(3)), augmentation(pixels, rng(3)))
    assert not torch.equal(augmentation(pixels, rng(3)), augmentation(pixels, rng(4)))


def test_r_dfcil_pads_with_the_mean_colour():
    """Normalising comes first, so that the border of a crop is 0, and the colours are nowhere jittered."""
    augmentation = augment.Augmentation("normalise-crop", MEAN, STD, torch.device("cpu"))
    pixels = torch.full((200, 3, 8, 8), 255, dtype=torch.uint8)
    after = augmentation(pixels, rng())
    values = torch.tensor([(1 - mean) / std for mean, std in zip(MEAN, STD, strict=True)])
    for channel in range(3):
        found = after[:, channel].unique()
        torch.testing.assert_close(found.sort().values, torch.tensor([0.0, values[channel]]).sort().values)


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(ValueError, match="unknown augmentation 'crop'"):
        augment.Augmentation("crop", MEAN, STD, torch.device("cpu"))
