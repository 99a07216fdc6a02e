"""Data sets open as their identities say, and refuse what they should not give."""

import dataclasses
import gzip
import pickle
import struct
import tarfile

import numpy as np
import pytest
import torch

from dfcil_core.config import DataRecipe
from dfcil_core.data.catalog import DATASETS, FIXED, subset_info
from dfcil_core.data.images import Reader
from dfcil_core.data.open import forget, open_data
from dfcil_core.errors import DataMismatch, ForbiddenImage, MissingData


def recipe(name, size=None, **changes):
    info = DATASETS[name]
    return DataRecipe(name, info.digest, size or info.image_size, **changes)


def test_digits_are_split_and_scaled():
    data = open_data(recipe("digits"), None)
    assert (len(data.train.labels), len(data.test.labels)) == (1437, 360)
    assert data.train.pixels.shape == (1437, 3, 32, 32)
    assert data.train.pixels.min() == 0 and data.train.pixels.max() == 255
    assert (data.train.pixels[:, 0] == data.train.pixels[:, 2]).all()
    # Stratified: each class has a fifth of its images in the test part, to within one image.
    for label in range(10):
        train, test = ((part.labels == label).sum().item() for part in (data.train, data.test))
        assert abs(test - (train + test) / 5) < 1


def test_digits_are_enlarged_by_repeating_pixels():
    small, large = (open_data(recipe("digits", size), None).train.pixels[5, 0] for size in (8, 16))
    assert torch.equal(large, small.repeat_interleave(2, 0).repeat_interleave(2, 1))


def test_normalisation_is_of_the_training_images():
    data = open_data(recipe("digits", 8), None)
    assert data.mean[0] == pytest.approx(data.train.pixels.double().mean().item() / 255)
    assert data.std[1] == pytest.approx(data.train.pixels.double().std(correction=0).item() / 255)


def test_another_content_is_refused():
    with pytest.raises(DataMismatch, match="the stage's identity says sha256:0000"):
        open_data(dataclasses.replace(recipe("digits"), digest="sha256:0000"), None)


@pytest.mark.parametrize("given", [{"classes": 3}, {"train_per_class": 7}, {"classes": 4, "test_per_class": 2}])
def test_a_part_is_the_first_classes_and_their_first_images(given):
    info, whole = subset_info("digits", **given), open_data(recipe("digits", 8), None)
    data = open_data(recipe("digits", 8, options=info.options), None)
    assert info.options == given and (info.train_images, info.test_images) == (
        len(data.train.labels),
        len(data.test.labels),
    )
    for part, all_of_it, counts in (
        (data.train, whole.train, info.train_counts),
        (data.test, whole.test, info.test_counts),
    ):
        assert part.labels.bincount().tolist() == list(counts) and len(counts) == info.classes
        for label, count in enumerate(counts):
            mine, its = (images.pixels[images.labels == label] for images in (part, all_of_it))
            assert torch.equal(mine, its[:count])
    assert data.mean[0] == pytest.approx(data.train.pixels.double().mean().item() / 255)


def test_a_part_that_is_everything_is_the_data_set():
    assert subset_info("cifar100", 100, 500, 100) == subset_info("cifar100") == DATASETS["cifar100"]
    part = subset_info("cifar100", classes=20, train_per_class=100)
    assert (part.classes, part.train_images, part.test_images, part.class_names[-1]) == (20, 2000, 2000, "cattle")
    assert part.title == "cifar100 (20 classes, 100 training images a class)" and part.mean == DATASETS["cifar100"].mean


def test_the_catalogue_knows_every_class_of_what_has_a_fixed_content():
    for info in (DATASETS[name] for name in FIXED):
        assert info.classes == len(set(info.class_names)) == len(info.train_counts) == len(info.test_counts)
        assert (sum(info.train_counts), sum(info.test_counts)) == (info.train_images, info.test_images)
    assert list(DATASETS["cifar100"].class_names) == sorted(DATASETS["cifar100"].class_names)


def test_held_out_images_come_from_the_training_part():
    whole, held = open_data(recipe("digits", 8), None), open_data(recipe("digits", 8, holdout=0.1), None)
    assert len(held.train.labels) + len(held.test.labels) == 1437
    train = {image.numpy().tobytes() for image in whole.train.pixels}
    test = {image.numpy().tobytes() for image in whole.test.pixels} - train
    used = {image.numpy().tobytes() for part in (held.train, held.test) for image in part.pixels}
    assert used <= train and not used & test
    assert [int((held.test.labels == label).sum()) for label in range(10)] == [
        round(0.1 * int((whole.train.labels == label).sum())) for label in range(10)
    ]


def test_reader_gives_only_what_is_allowed():
    data = open_data(recipe("digits", 8), None)
    mine = data.positions((3, 7))
    reader = Reader(data, mine, torch.device("cpu"))
    assert set(reader.labels(mine).tolist()) == {3, 7}
    assert torch.equal(reader.pixels(mine[5:9]), data.train.pixels[mine[5:9]])
    with pytest.raises(ForbiddenImage, match="1 images"):
        reader.check(torch.cat([mine, data.positions((4,))[:1]]))


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion-mnist"])
def test_missing_files_are_named(name, tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(MissingData) as error:
        open_data(recipe(name), str(tmp_path))
    wanted = {"cifar10": "cifar-10-python.tar.gz", "cifar100": "cifar-100-python.tar.gz"}
    assert wanted.get(name, "train-images-idx3-ubyte.gz") in str(error.value)
    assert str(tmp_path) in str(error.value) and "--data-root" in str(error.value)


def test_a_forged_cifar_is_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: (_ for _ in ()).throw(OSError("no network")))
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(MissingData):
        open_data(recipe("cifar100"), str(tmp_path))
    with tarfile.open(tmp_path / "cifar-100-python.tar.gz", "w:gz") as archive:
        archive.add(folder, "cifar-100-python")
    with pytest.raises(MissingData):
        open_data(recipe("cifar100"), str(tmp_path))


class _Bomb:
    def __reduce__(self):
        return pytest.fail, ("a forged pickle was opened",)


def test_fashion_mnist_in_its_published_layout_is_read(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28)
        files = {
            f"{part}-images-idx3-ubyte": struct.pack(">IIII", 0x803, 2, 28, 28) + images.tobytes(),
            f"{part}-labels-idx1-ubyte": struct.pack(">II", 0x801, 2) + bytes([3, 9]),
        }
        for name, content in files.items():
            (raw / name).write_bytes(content)
            (raw / f"{name}.gz").write_bytes(gzip.compress(content))
    data = open_data(recipe("fashion-mnist"), str(tmp_path))
    assert data.train.pixels.shape == (2, 3, 32, 32) and data.train.labels.tolist() == [3, 9]


def test_digits_are_read_again_where_the_cache_is_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("DFCIL_CACHE", str(tmp_path))
    forget()
    whole = open_data(recipe("digits", 8), None)
    (kept,) = (path for path in tmp_path.iterdir() if path.suffix != ".lock")
    content = kept.read_bytes()
    for damaged in (b"", content[:1000], content[:-1] + bytes([content[-1] ^ 1])):
        kept.write_bytes(damaged)
        forget()
        again = open_data(recipe("digits", 8), None)
        assert torch.equal(again.train.pixels, whole.train.pixels) and torch.equal(again.test.labels, whole.test.labels)
        assert kept.read_bytes() == content
