"""`init`: a spec that is right, suits the machine and says what it will cost."""

import numpy as np
import pytest
from jsonschema import Draft7Validator
from PIL import Image

from orchestrator.first_spec import tasks_of
from orchestrator.plan.plan import make_plan
from orchestrator.results.guess import guess
from orchestrator.schema.json_schema import spec_schema
from orchestrator.spec.load import load_spec, parse_spec
from orchestrator.spec.yaml_document import read_document
from sweeps import SCHEMA
from tests.support.launched import dfcil


def written(path):
    """The spec in that file, which an editor would find right too, and its text."""
    text = path.read_text()
    assert Draft7Validator(spec_schema()).is_valid(read_document(text, path.name, ()).data)
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA.as_uri()}\n")
    return parse_spec(text, path.name), text


@pytest.fixture
def flowers(tmp_path):
    """A folder of images of four classes."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 4)):
        for name in ("daisy", "iris", "rose", "tulip"):
            (tmp_path / "flowers" / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "flowers" / part / name / f"{index}.png")
    return tmp_path / "flowers"


def test_without_a_word_it_writes_digits_in_small(call, tmp_path):
    status, out, err = call("init", "--device", "cpu", "--yes")
    assert (status, err) == (0, "") and out.startswith("written: first.yaml\n\nfirst: 12 jobs, on cpu\n")
    assert "within a factor of three" in out and "dfcil-sweep launch first.yaml" in out
    spec, text = written(tmp_path / "first.yaml")
    assert (spec.dataset.info.name, spec.dataset.image_size, spec.methods[0].training.backbone) == (
        "digits",
        8,
        "resnet8",
    )
    assert all(f"\n{key}:" in text for key in ("name", "dataset", "methods", "tasks", "seeds", "training", "dreaming"))
    assert "\n# exclude:\n" in text and "](" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["first.yaml"]


@pytest.mark.parametrize("file", ["mine.yaml", "specs/mine.yml"])
def test_the_file_names_the_sweep_as_well(call, tmp_path, file):
    (tmp_path / "specs").mkdir()
    status, out, err = call("init", file, "--device", "cpu", "--yes")
    assert (status, err) == (0, "") and out.startswith(f"written: {file}\n\nmine: 12 jobs")
    assert written(tmp_path / file)[0].name == "mine"


def test_of_a_folder_of_images_and_chosen_methods(call, tmp_path, flowers):
    asked = (
        "init",
        "mine",
        "--data",
        flowers,
        "--methods",
        "base, rehearsal",
        "--device",
        "cpu",
        "--yes",
        "-o",
        "m.yaml",
    )
    assert call(*asked)[0] == 0
    spec, _ = written(tmp_path / "m.yaml")
    assert [entry.label for entry in spec.methods] == ["base", "rehearsal"] and spec.methods[1].memory == 20
    assert (spec.dataset.info.classes, spec.dataset.root, spec.splits[0].sizes) == (4, str(flowers), (2, 2))


def test_for_a_gpu_nothing_of_the_published_recipe_is_changed(call, tmp_path):
    status, out, _ = call("init", "g", "--data", "cifar100", "--device", "cuda", "--yes")
    assert status == 0 and "within a factor" not in out
    spec, text = written(tmp_path / "g.yaml")
    assert spec.methods[0].training.backbone == "resnet32" and spec.dataset.info.train_images == 50_000
    call("init", "c", "--data", "cifar100", "--device", "cpu", "--yes")
    assert written(tmp_path / "c.yaml")[0].dataset.info.train_images == 2_000


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("--methods", "adb"), "no method 'adb'. Did you mean 'abd'?"),
        (("--data", "digts"), "Did you mean 'digits'?"),
        (("--tasks", "3"), "The divisors of 10 are 1, 2, 5, 10"),
        (("--data", "."), "has no folders train and val"),
    ],
)
def test_a_mistake_writes_nothing(call, tmp_path, wrong, told):
    status, _, err = call("init", "--yes", *wrong)
    assert status == 2 and told in err and list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(call, tmp_path):
    (tmp_path / "first.yaml").write_text("mine")
    status, _, err = call("init", "--yes")
    assert status == 2 and "--force" in err and (tmp_path / "first.yaml").read_text() == "mine"
    assert call("init", "--yes", "--force")[0] == 0 and written(tmp_path / "first.yaml")


def test_about_five_tasks_of_two_classes_or_more():
    assert [tasks_of(classes) for classes in (10, 100, 4, 6, 7, 12, 1)] == [5, 5, 2, 3, 7, 4, 1]


def test_the_guess_is_within_a_factor_of_three_of_what_was_measured():
    # Seconds of stages on one core: the demo's records, and 210 of 243 stages of the other (docs/performance.md).
    for name, measured in (("demo", 190), ("cifar100-small", 6509 * 243 / 210)):
        assert measured / 3 < guess(make_plan(load_spec(name))) < measured * 3
    assert guess(make_plan(load_spec("demo"), "cuda")) is None
    assert guess(make_plan(load_spec("imagenet-50"))) is None  # nothing was measured of its network


@pytest.mark.long
def test_what_it_writes_can_be_launched(tmp_path, flowers):
    asked = ("init", "mine", "--data", flowers, "--methods", "base,abd", "--device", "cpu", "--yes")
    assert dfcil(*asked, folder=tmp_path).returncode == 0
    shorter = ("--set", "seeds=[0]", "--set", "training.epochs=1", "--set", "dreaming.steps=2")
    done = dfcil("launch", "mine.yaml", "--device", "cpu", *shorter, folder=tmp_path)
    assert done.returncode == 0 and "mine: 2 of 2 jobs done" in done.stdout, done.stderr
