"""The training augmentation draws its own numbers for every image, in the published order and ranges."""

from dataclasses import replace

import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.functional import resized_crop

from dfcil_core import augment
from dfcil_core.data.catalog import DATASETS
from dfcil_core.methods.abd import Abd
from dfcil_core.methods.r_dfcil import RDfcil

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


def test_crop_is_the_published_one_without_its_jitter():
    pixels = torch.randint(0, 256, (16, 3, 8, 8), generator=rng(), dtype=torch.uint8)
    device = torch.device("cpu")
    draws = rng(3)
    expected = augment.crop(augment.flip(pixels.float(), draws), 1, draws)
    expected = (expected / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(augment.Augmentation("crop-flip", MEAN, STD, device)(pixels, rng(3)), expected)
    draws = rng(3)
    unflipped = augment.crop(pixels.float(), 4, draws)
    unflipped = (unflipped / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(augment.Augmentation("crop-4", MEAN, STD, device)(pixels, rng(3)), unflipped)


def test_none_normalises_alone_and_draws_nothing():
    pixels = torch.randint(0, 256, (4, 3, 8, 8), generator=rng(), dtype=torch.uint8)
    draws, before = rng(3), rng(3).get_state()
    plain = augment.Augmentation("none", MEAN, STD, torch.device("cpu"))
    assert torch.equal(plain(pixels, draws), plain.normalise(pixels))
    assert torch.equal(draws.get_state(), before)


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(ValueError, match="unknown augmentation 'squeeze'"):
        augment.Augmentation("squeeze", MEAN, STD, torch.device("cpu"))


# ---- by the size of the images ---------------------------------------------------------------------------------------

SMALL = [(8, 1), (16, 2), (32, 4), (33, 4), (48, 4), (64, 4), (72, 9), (96, 12)]


def at_size(name, size):
    return replace(DATASETS[name], image_size=size)


@pytest.mark.parametrize(("size", "padding"), SMALL)
@pytest.mark.parametrize("name", ["digits", "cifar100", "tiny-imagenet"])
def test_padding_is_four_pixels_from_32_to_64_and_an_eighth_elsewhere(name, size, padding):
    told = at_size(name, size)
    for method in (Abd(), RDfcil()):
        augmentation = augment.Augmentation(method.augmentation(told), (0.0,) * 3, (1.0,) * 3, torch.device("cpu"))
        pixels = torch.full((400, 3, size, size), 255, dtype=torch.uint8)
        dark = (augmentation(pixels, rng())[:, 0] == 0).float()
        # Rows and columns that are padding from edge to edge: at most `padding`, and that often enough.
        rows, columns = dark.amin(2).sum(1), dark.amin(1).sum(1)
        assert rows.max() == columns.max() == padding


def test_only_between_32_and_64_pixels_has_an_augmentation_another_name():
    for size, _ in SMALL:
        ends = at_size("tiny-imagenet", size).augmentation.endswith("-4")
        assert ends == (32 < size <= 64)


@pytest.mark.parametrize(
    ("name", "size", "flips", "expected"),
    [
        ("folder", 127, True, "jitter-flip-crop"),
        ("folder", 128, True, "resized-crop-flip"),
        ("folder", 224, False, "resized-crop"),
        ("cifar100", 224, True, "jitter-flip-crop"),  # enlarged, not large
    ],
)
def test_large_images_of_folders_are_cropped_at_random(name, size, flips, expected):
    told = replace(at_size(name, size), flips=flips)
    assert Abd().augmentation(told) == expected
    assert RDfcil().augmentation(told) == expected.replace("jitter-flip-crop", "normalise-crop-flip")


def test_a_resized_crop_is_torchvisions_of_the_same_box():
    images = 255 * torch.rand(12, 3, 40, 40, generator=rng())
    boxes = augment.crop_boxes(12, 40, rng(1)).tolist()
    expected = [resized_crop(image, *box, [40, 40], antialias=True) for image, box in zip(images, boxes, strict=True)]
    torch.testing.assert_close(augment.resized_crop(images, rng(1)), torch.stack(expected))
    assert len({tuple(box) for box in boxes}) == 12


def test_boxes_have_the_areas_and_shapes_of_torchvisions():
    """Drawn 20,000 times each: the same deciles of area, shape and place."""
    top, left, height, width = augment.crop_boxes(20_000, 224, rng()).T.double()
    torch.manual_seed(0)
    image = torch.empty(1, 224, 224)
    theirs = [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(20_000)]
    their_top, their_left, their_height, their_width = torch.tensor(theirs, dtype=torch.float64).T
    pairs = [
        (height * width / 224**2, their_height * their_width / 224**2, 0.02),
        ((width / height).log(), (their_width / their_height).log(), 0.02),
        (top / 224, their_top / 224, 0.02),
        (left / 224, their_left / 224, 0.02),
    ]
    deciles = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    for own, their, bound in pairs:
        assert (own.quantile(deciles) - their.quantile(deciles)).abs().max() < bound
    assert ((top + height <= 224) & (left + width <= 224) & (top >= 0) & (left >= 0) & (height > 0)).all()


def test_resized_crops_are_normalised_and_flipped_where_the_name_says_so():
    pixels = torch.arange(0, 256, 8, dtype=torch.uint8).expand(64, 3, 32, 32)  # brighter to the right
    for name, flips in (("resized-crop", False), ("resized-crop-flip", True)):
        augmentation = augment.Augmentation(name, MEAN, STD, torch.device("cpu"))
        after = augmentation(pixels, rng(2))
        assert after.shape == pixels.shape and torch.equal(after, augmentation(pixels, rng(2)))
        falling = after[:, 0, 5, -1] < after[:, 0, 5, 0]
        assert (20 < falling.sum() < 44) if flips else not falling.any()
        low, high = ((bound - MEAN[0]) / STD[0] for bound in (0, 1))
        assert low - 1e-6 <= after[:, 0].min() and after[:, 0].max() <= high
