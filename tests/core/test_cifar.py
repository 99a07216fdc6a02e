"""CIFAR as its archive and as image folders: the same images in one order, or a message that says what is wrong."""

import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dfcil_core.config import DataRecipe
from dfcil_core.data import DATASETS, cifar, cifar_files
from dfcil_core.data.errors import AbsentData, DataMismatch, MissingData
from dfcil_core.data.images import open_data
from orchestrator.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.spec.dataset import require_files
from orchestrator.spec.load import parse_spec

TRAIN, TEST = 3, 2
"""Images of each class in the made-up data sets."""
LABELS = {"cifar10": "labels", "cifar100": "fine_labels"}
FILES = {"cifar10": ("data_batch_1", "test_batch", "batches.meta"), "cifar100": ("train", "test", "meta")}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DFCIL_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)


@pytest.fixture(params=["cifar10", "cifar100"])
def name(request, monkeypatch):
    """Both data sets, with few images."""
    info = DATASETS[request.param]
    counts = {"train_counts": (TRAIN,) * info.classes, "test_counts": (TEST,) * info.classes}
    monkeypatch.setitem(DATASETS, info.name, replace(info, **counts))
    return info.name


@pytest.fixture
def images(name):
    """Part to its pixels, (n, 32, 32, 3), and labels, in no order."""
    rng, classes = np.random.default_rng(0), DATASETS[name].classes
    return {
        part: (rng.integers(0, 256, (classes * count, 32, 32, 3), np.uint8), rng.permutation(classes * count) % classes)
        for part, count in (("train", TRAIN), ("test", TEST))
    }


def archive(root, name, images, monkeypatch):
    """The images in the published layout, with digests that torchvision takes for the published ones."""
    from torchvision import datasets

    opens, layout = getattr(datasets, cifar_files.ARCHIVES[name].torchvision), FILES[name]
    folder = root / cifar_files.ARCHIVES[name].unpacked
    folder.mkdir(parents=True)
    content = [
        pickle.dumps({"data": pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1), LABELS[name]: labels.tolist()})
        for pixels, labels in (images["train"], images["test"])
    ]
    key = opens.meta["key"]
    content.append(pickle.dumps({key: list(DATASETS[name].class_names)}))
    digests = [hashlib.md5(part).hexdigest() for part in content]
    for file, part in zip(layout, content, strict=True):
        (folder / file).write_bytes(part)
    monkeypatch.setattr(opens, "train_list", [[layout[0], digests[0]]])
    monkeypatch.setattr(opens, "test_list", [[layout[1], digests[1]]])
    monkeypatch.setattr(opens, "meta", {"filename": layout[2], "key": key, "md5": digests[2]})
    return root


def folders(root, name, images, tested="val"):
    """The images as PNG files, a folder a class, in names that say nothing of their order."""
    for part, folder in (("train", "train"), ("test", tested)):
        for number, (pixels, label) in enumerate(zip(*images[part], strict=True)):
            path = root / folder / DATASETS[name].class_names[label] / f"{number * 7919 % 1000}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return root


def known(name, root, monkeypatch):
    """The data set's recipe, with the digest of what lies there in the catalogue where that has one of the pixels."""
    if DATASETS[name].digest.startswith("sha256:"):
        with pytest.raises(DataMismatch, match="pixel for pixel") as error:
            open_data(DataRecipe(name, DATASETS[name].digest, 32), str(root))
        found = str(error.value).split("digest is ")[1].split(",")[0]
        monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], digest=found))
    return DataRecipe(name, DATASETS[name].digest, 32)


def test_the_archive_and_the_folders_are_the_same_data(name, images, tmp_path, monkeypatch):
    lying = folders(tmp_path / "val", name, images)
    recipe = known(name, lying, monkeypatch)
    opened = [
        open_data(recipe, str(root))
        for root in (
            lying,
            folders(tmp_path / "test", name, images, "test"),
            archive(tmp_path / "archive", name, images, monkeypatch),
        )
    ]
    for data in opened:
        for part in ("train", "test"):
            mine, first = getattr(data, part), getattr(opened[0], part)
            assert mine.pixels.dtype == torch.uint8 and mine.pixels.shape == (len(images[part][0]), 3, 32, 32)
            assert torch.equal(mine.pixels, first.pixels) and torch.equal(mine.labels, first.labels)
        assert cifar.digest(data.train, data.test) == cifar.digest(opened[0].train, opened[0].test)
        assert data.mean == DATASETS[name].mean
    # By label, then by the hash of the pixels; every image with its own label.
    given = {pixels.transpose(2, 0, 1).tobytes(): label for pixels, label in zip(*images["train"], strict=True)}
    train = [
        (label, image.numpy().tobytes())
        for label, image in zip(data.train.labels.tolist(), data.train.pixels, strict=True)
    ]
    assert train == sorted(train, key=lambda one: (one[0], hashlib.sha256(one[1]).digest()))
    assert {image: label for label, image in train} == given


def test_folders_are_decoded_once(name, images, tmp_path, monkeypatch):
    root = folders(tmp_path / "images", name, images)
    recipe = known(name, root, monkeypatch)
    first = open_data(recipe, str(root))

    def never(*_):
        raise AssertionError("done a second time")

    monkeypatch.setattr(cifar, "_decode", never)
    monkeypatch.setattr(cifar, "digest", never)
    assert torch.equal(open_data(recipe, str(root)).train.pixels, first.train.pixels)


def test_a_part_is_the_first_images_in_that_order(name, images, tmp_path, monkeypatch):
    root = folders(tmp_path / "images", name, images)
    recipe = known(name, root, monkeypatch)
    whole = open_data(recipe, str(root))
    part = open_data(replace(recipe, options={"classes": 2, "train_per_class": 1}), str(root))
    assert part.train.labels.tolist() == [0, 1] and part.test.labels.tolist() == [0] * TEST + [1] * TEST
    assert torch.equal(part.train.pixels, whole.train.pixels[[0, TRAIN]]) and part.mean == whole.mean


def test_the_archive_comes_first(name, images, tmp_path, monkeypatch):
    root = archive(folders(tmp_path / "both", name, images), name, images, monkeypatch)
    assert cifar_files.list_cifar(name, str(root)) is None


def test_other_pixels_are_refused(images, name, tmp_path, monkeypatch):
    root = folders(tmp_path / "images", name, images)
    recipe = known(name, root, monkeypatch)
    file = next((root / "val" / DATASETS[name].class_names[1]).iterdir())
    Image.new("RGB", (32, 32)).save(file)
    if name == "cifar100":  # of CIFAR-10 no digest of the pixels is known
        with pytest.raises(DataMismatch, match="must be the published ones"):
            open_data(recipe, str(root))
    Image.new("RGB", (64, 32)).save(file)
    with pytest.raises(MissingData, match="is 64x32 pixels, and an image of CIFAR is 32x32"):
        open_data(recipe, str(root))


def test_what_is_wrong_with_the_folders_is_told(name, images, tmp_path):
    root, first = folders(tmp_path / "images", name, images), DATASETS[name].class_names[0]
    (root / "train" / first).rename(root / "train" / "zeppelin")
    with pytest.raises(MissingData, match=f"train lacks the class folders {first} and has the folders zeppelin, which"):
        cifar_files.list_cifar(name, str(root))
    (root / "train" / "zeppelin").rename(root / "train" / first)
    (root / "val" / first / "more.png").write_bytes(b"")
    with pytest.raises(MissingData, match=rf"{first} holds {TEST + 1} images \(.png, .bmp\), and {name} has {TEST}"):
        cifar_files.list_cifar(name, str(root))
    (root / "val").rename(root / "valid")
    with pytest.raises(MissingData, match="neither val nor test"):
        cifar_files.list_cifar(name, str(root))
    (root / "train").rename(root / "training")
    with pytest.raises(AbsentData) as error:
        cifar_files.list_cifar(name, str(root))
    for told in (cifar_files.ARCHIVES[name].file, f"{root}/train/CLASS", f"{root}/val/CLASS", first, "--data-root"):
        assert told in str(error.value)


def sweep(name, root, **more):
    given = "".join(f", {key}: {value}" for key, value in more.items())
    text = f"name: s\ndataset: {{name: {name}, root: {root}{given}}}\nmethods: [base]\ntasks: [2]\nseeds: [0]\n"
    return parse_spec(text, "s.yaml")


def test_a_launch_says_what_is_missing_before_it_starts(name, images, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="does not answer") as error:
        require_files(sweep(name, tmp_path).dataset)
    assert cifar_files.ARCHIVES[name].file in str(error.value)
    root = folders(tmp_path / "images", name, images)
    require_files(sweep(name, root).dataset)
    next((root / "train" / DATASETS[name].class_names[-1]).iterdir()).unlink()
    with pytest.raises(UserError, match=f"holds {TRAIN - 1} images"):
        require_files(sweep(name, root).dataset)


def test_where_it_can_be_downloaded_a_launch_goes_on(name, tmp_path, monkeypatch):
    class Answer:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    asked = []
    monkeypatch.setattr("urllib.request.urlopen", lambda request, timeout: asked.append(request.full_url) or Answer())
    require_files(sweep(name, tmp_path).dataset)
    from torchvision import datasets

    assert asked == [getattr(datasets, cifar_files.ARCHIVES[name].torchvision).url]


def test_where_it_lies_is_no_part_of_the_identity(name, tmp_path):
    keys = [make_plan(sweep(name, root)).stages.keys() for root in (tmp_path / "a", tmp_path / "b")]
    assert keys[0] == keys[1]
