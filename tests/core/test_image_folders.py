"""Data sets of image files: read in their layouts, squared, hashed, decoded once, refused when they changed."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from dfcil_core.config import DataRecipe
from dfcil_core.data import decoded, folders
from dfcil_core.data.catalog import image_files_info
from dfcil_core.data.open import open_data
from dfcil_core.errors import AbsentData, DataMismatch, MissingData


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("DFCIL_CACHE", str(folder))
    return folder


def picture(path, colour, size=(16, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def root(tmp_path):
    """Two classes and one more; images of several sizes and shades."""
    root = tmp_path / "images"
    for position, name in enumerate(("cat", "dog", "owl")):
        for number in range(3):
            picture(root / "train" / name / f"{number}.png", (80 * position, 10 * number, 0), (16 + 8 * number, 16))
        picture(root / "val" / name / "a.PNG", (80 * position, 100, 0), (24, 40))
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    return root


def recipe(info, size=16, **changes):
    return DataRecipe(info.name, info.digest, size, options=info.options, **changes)


def test_a_folder_is_read_in_alphabetical_order(root):
    info = image_files_info("folder", str(root))
    assert (info.classes, info.train_images, info.test_images) == (3, 9, 3)
    assert info.options == {"classes": ["cat", "dog", "owl"]}
    data = open_data(recipe(info), str(root))
    assert data.train.pixels.shape == (9, 3, 16, 16) and data.train.pixels.dtype == torch.uint8
    assert data.train.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 and data.test.labels.tolist() == [0, 1, 2]
    assert data.train.pixels[:, :, 0, 0].tolist() == [[80 * c, 10 * n, 0] for c in range(3) for n in range(3)]
    reds = np.repeat([0, 80, 160], 3) / 255
    assert data.mean[0] == pytest.approx(reds.mean()) and data.std[0] == pytest.approx(reds.std())


def test_the_listed_classes_and_no_others_in_the_order_given(root):
    info = image_files_info("folder", str(root), ["owl", "cat"])
    assert info.classes == 2
    data = open_data(recipe(info), str(root))
    assert data.train.pixels[:, 0, 0, 0].tolist() == [160] * 3 + [0] * 3
    assert image_files_info("folder", str(root), ["cat", "owl"]).digest != info.digest
    # An image of a class that is not listed does not matter.
    picture(root / "train" / "dog" / "new.png", (1, 2, 3))
    assert image_files_info("folder", str(root), ["owl", "cat"]).digest == info.digest


def test_the_digest_is_of_names_and_content_not_of_place_or_time(root, tmp_path):
    before = image_files_info("folder", str(root)).digest
    root.rename(tmp_path / "moved")
    for path in (tmp_path / "moved").rglob("*.png"):
        os.utime(path, (1, 1))
    assert image_files_info("folder", str(tmp_path / "moved")).digest == before
    picture(tmp_path / "moved" / "train" / "cat" / "0.png", (9, 9, 9))
    assert image_files_info("folder", str(tmp_path / "moved")).digest != before


def test_hashing_and_decoding_are_done_once(root, monkeypatch):
    info = image_files_info("folder", str(root))
    first = open_data(recipe(info), str(root))

    def never(*_, **__):
        raise AssertionError("done a second time")

    monkeypatch.setattr(folders, "_digest", never)
    monkeypatch.setattr(decoded, "_decode", never)
    second = open_data(recipe(info), str(root))
    assert torch.equal(first.train.pixels, second.train.pixels) and first.mean == second.mean
    with pytest.raises(AssertionError):
        open_data(recipe(info, 8), str(root))  # another size is decoded anew


def test_changed_images_are_refused(root):
    info = image_files_info("folder", str(root))
    picture(root / "val" / "dog" / "a.PNG", (1, 1, 1))
    with pytest.raises(DataMismatch, match="the stage's identity says sha256:"):
        open_data(recipe(info), str(root))


def test_an_image_is_squared_from_its_middle():
    # 14 pixels are wanted: the shorter side becomes 16, then the middle of 16 x 32 is cut out.
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 6:10] = 255
    squared = np.asarray(decoded.square(Image.fromarray(wide), 14))
    assert squared.shape == (14, 14, 3)
    assert (squared[:, 4:10] == 255).all() and not squared[:, 0].any() and not squared[:, 13].any()
    grey = Image.fromarray(np.full((14, 14), 7, np.uint8))
    assert (np.asarray(decoded.square(grey, 14)) == 7).all()


def test_what_is_missing_is_named(root, tmp_path):
    with pytest.raises(AbsentData, match="no folders train and val.*--data-root"):
        folders.list_folder(str(tmp_path / "nowhere"), None)
    with pytest.raises(MissingData, match="train/fox holds no image") as error:
        folders.list_folder(str(root), ["cat", "fox"])
    assert not isinstance(error.value, AbsentData)
    with pytest.raises(AbsentData, match="unpack tiny-imagenet-200.zip"):
        folders.list_tiny_imagenet(str(tmp_path))


def test_tiny_imagenet_in_its_official_layout_is_read(tmp_path, monkeypatch):
    for name, value in (("TINY_CLASSES", 2), ("TINY_TRAIN", 4), ("TINY_VAL", 2)):
        monkeypatch.setattr(folders, name, value)
    root = tmp_path / "tiny-imagenet-200"
    for position, name in enumerate(("n01443537", "n01629819")):
        for number in range(2):
            # Losslessly, though the suffix says otherwise: Pillow goes by content.
            path = root / "train" / name / "images" / f"{name}_{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 64), (100 + position, number, 0)).save(path, "PNG")
        (root / "train" / name / f"{name}_boxes.txt").write_text("")
    rows = []
    for number, name in enumerate(("n01629819", "n01443537")):
        path = root / "val" / "images" / f"val_{number}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 64), number).save(path, "PNG")  # some are grey
        rows.append(f"val_{number}.JPEG\t{name}\t0\t32\t44\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(rows))

    info = image_files_info("tiny-imagenet", str(tmp_path))
    data = open_data(recipe(info, 64), str(tmp_path))
    assert data.train.labels.tolist() == [0, 0, 1, 1] and data.test.labels.tolist() == [1, 0]
    assert data.train.pixels[:, 0, 0, 0].tolist() == [100, 100, 101, 101]
    assert data.test.pixels[1].unique().tolist() == [1]
    assert image_files_info("tiny-imagenet", str(root)).digest == info.digest

    (root / "train" / "n01443537" / "images" / "n01443537_0.JPEG").unlink()
    with pytest.raises(MissingData, match="2 classes, 3 training and 2 validation images"):
        image_files_info("tiny-imagenet", str(tmp_path))
