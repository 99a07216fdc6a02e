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


# ---- greys of more than 8 bits, and what is no image -----------------------------------------------------------------


def grey(path, values, mode):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values).astype({"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])).save(path)


LEVELS = np.linspace(0, 65535, 256).reshape(16, 16)


@pytest.mark.parametrize(
    ("values", "mode", "kind", "expected"),
    [
        (LEVELS, "I;16", "png", np.arange(256)),
        (LEVELS / 257, "I;16", "png", np.arange(256) // 257),  # as dark as it is: 0 to 255 of 65535
        (LEVELS, "I;16", "tiff", np.arange(256)),
        (LEVELS, "I", "tiff", np.arange(256)),
        (LEVELS / 257, "I", "tiff", np.arange(256)),
        (LEVELS / 65535, "F", "tiff", np.arange(256)),
        (LEVELS / 257, "F", "tiff", np.arange(256)),
    ],
)
def test_greys_of_more_bits_are_scaled_not_cut(tmp_path, values, mode, kind, expected):
    grey(tmp_path / f"x.{kind}", values, mode)
    with Image.open(tmp_path / f"x.{kind}") as image:
        pixels = np.asarray(decoded.square(image, 16))
    assert abs(pixels[..., 0].ravel().astype(int) - expected).max() <= (1 if expected.max() < 2 else 0)
    assert (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()


def test_sixteen_bits_are_trained_on_in_all_their_levels(root):
    grey(root / "train" / "cat" / "0.png", LEVELS, "I;16")
    data = open_data(recipe(image_files_info("folder", str(root))), str(root))
    assert len(data.train.pixels[0].unique()) == 256


@pytest.mark.parametrize(
    ("values", "mode", "why"),
    [
        (LEVELS * 2, "I", "from 0 to 131070"),
        (LEVELS - 5, "I", "from -5 to 65530"),
        (LEVELS, "F", "from 0 to 65535"),
        (LEVELS / 65535 - 0.5, "F", "from -0.5 to 0.5"),
        (LEVELS * np.nan, "F", "nan"),
    ],
)
def test_numbers_that_are_no_greys_are_refused_by_name(root, values, mode, why):
    path = root / "train" / "cat" / "0.png"
    grey(path.with_suffix(".tiff"), values, mode)
    path.with_suffix(".tiff").rename(path)  # Pillow goes by content
    with pytest.raises(MissingData, match=f"{path} cannot be used as an image: its .*{why}"):
        open_data(recipe(image_files_info("folder", str(root))), str(root))


@pytest.mark.parametrize("content", ["cut", b"", b"no image", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0" + 50 * b"\xff"])
def test_what_cannot_be_decoded_is_named(root, content):
    path = root / "val" / "owl" / "a.PNG"
    path.write_bytes(path.read_bytes()[:60] if content == "cut" else content)
    with pytest.raises(MissingData, match=f"{path} cannot be used as an image: .*Mend it"):
        open_data(recipe(image_files_info("folder", str(root))), str(root))


def test_what_is_hidden_is_not_there(root):
    before = image_files_info("folder", str(root))
    picture(root / "train" / ".ipynb_checkpoints" / "x.png", (1, 2, 3))
    picture(root / "val" / ".thumbnails" / "x.png", (1, 2, 3))
    (root / "train" / "cat" / "._0.png").write_bytes(b"\0\5\x16\7")
    (root / "train" / "cat" / ".hidden.png").mkdir()
    (root / "train" / ".DS_Store").write_bytes(b"x")
    assert image_files_info("folder", str(root)) == before


def test_what_only_looks_like_an_image_is_named(root):
    odd = root / "train" / "cat" / "x.jpg"
    odd.symlink_to(root / "nowhere")
    with pytest.raises(MissingData, match=f"{odd} is a link to what is not there"):
        image_files_info("folder", str(root))
    odd.unlink()
    odd.symlink_to(root / "train" / "cat" / "0.png")
    assert image_files_info("folder", str(root)).train_images == 10
    odd.unlink()
    odd.mkdir()
    with pytest.raises(MissingData, match=f"{odd} is a folder"):
        image_files_info("folder", str(root))
    odd.rmdir()
    os.mkfifo(odd)
    with pytest.raises(MissingData, match=f"{odd} is no file"):
        image_files_info("folder", str(root))


def test_a_class_without_training_images_is_named(root):
    picture(root / "val" / "yak" / "a.png", (1, 2, 3))
    with pytest.raises(MissingData, match="val has the class yak, which .*train has not"):
        image_files_info("folder", str(root))
    assert image_files_info("folder", str(root), ["cat", "owl"]).classes == 2
    picture(root / "train" / "zebra" / "a.png", (1, 2, 3))
    (root / "val" / "yak" / "a.png").unlink()
    (root / "val" / "yak").rmdir()
    with pytest.raises(MissingData, match="val/zebra holds no image"):
        image_files_info("folder", str(root))


def test_no_class_at_all_and_names_that_are_no_text(root, tmp_path):
    for part in ("train", "val"):
        (tmp_path / "empty" / part).mkdir(parents=True)
    with pytest.raises(MissingData, match="train has no class folders"):
        image_files_info("folder", str(tmp_path / "empty"))
    os.mkdir(os.fsencode(root / "train") + b"/d\xffg")
    with pytest.raises(MissingData, match="is not UTF-8. Rename it"):
        image_files_info("folder", str(root))


def test_what_a_sound_folder_gives_is_what_it_always_gave(root):
    info = image_files_info("folder", str(root))
    assert list(root.rglob("*.png")) and info.digest == _digest_by_hand(root)


def _digest_by_hand(root):
    import hashlib

    classes = sorted(os.listdir(root / "train"))
    total = hashlib.sha256("\0".join(classes).encode())
    for part in ("train", "val"):
        for label, name in enumerate(classes):
            for file in sorted(os.listdir(root / part / name)):
                if file.lower().endswith(".png"):
                    content = hashlib.sha256((root / part / name / file).read_bytes()).hexdigest()
                    total.update(f"{part}/{name}/{file}\0{label}\0{content}\n".encode())
    return f"sha256:{total.hexdigest()}"


# ---- layouts ---------------------------------------------------------------------------------------------------------


def test_test_stands_for_val_where_there_is_none(root):
    (root / "val").rename(root / "test")
    info = image_files_info("folder", str(root))
    assert (info.classes, info.train_images, info.test_images) == (3, 9, 3)
    data = open_data(recipe(info), str(root))
    assert data.test.labels.tolist() == [0, 1, 2] and data.test.pixels[:, 1, 0, 0].tolist() == [100] * 3
    # Of an ImageNet, whose test images have no labels, val is read.
    picture(root / "val" / "cat" / "a.png", (0, 0, 0))
    with pytest.raises(MissingData, match="val/dog holds no image"):
        image_files_info("folder", str(root))


def laid_out(root, *paths):
    for path in paths:
        picture(root / path, (0, 0, 0))
    with pytest.raises(MissingData) as told:
        image_files_info("folder", str(root))
    assert not isinstance(told.value, AbsentData)
    return str(told.value)


def test_a_folder_a_class_without_parts_is_told_to_be_parted(tmp_path):
    told = laid_out(tmp_path, "cat/1.png", "dog/1.jpg", "owl/1.png", "pig/1.png")
    assert "has a folder a class (cat, dog, owl, ...), not parted into training and test images" in told
    assert "so that there are train/cat/* and val/cat/*" in told


def test_images_without_class_folders_are_told_where_to_go(tmp_path):
    told = laid_out(tmp_path, "1.png", "2.png")
    assert "has images (1.png, ...) and no folder a class" in told
    assert "into train/CLASS, and those to test on into val/CLASS" in told


def test_training_images_alone_and_a_root_too_high(tmp_path):
    assert "has train, and no val (or test): put into val of each class" in laid_out(tmp_path / "a", "train/cat/1.png")
    told = laid_out(tmp_path / "b", "flowers/train/cat/1.png", "flowers/val/cat/1.png")
    assert "has no folders train and val, but flowers in it has train: is it the root?" in told


def test_a_folder_of_other_things_is_only_not_the_one(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no image")
    with pytest.raises(AbsentData, match=r"has no folders train and val \(or test\)"):
        image_files_info("folder", str(tmp_path))
