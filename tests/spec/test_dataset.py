"""The `dataset:` section for data sets without a fixed content, and what a method makes of the images."""

import pytest
from PIL import Image

from orchestrator.errors import SpecError, UserError
from orchestrator.plan.plan import make_plan
from orchestrator.spec.dataset import require_files
from orchestrator.spec.load import parse_spec
from orchestrator.spec.rehearsal import rehearse
from orchestrator.store import sweep_folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DFCIL_CACHE", str(tmp_path / "cache"))


def sweep(dataset, methods="[base]", tasks="[2]", **told):
    text = f"name: s\ndataset: {dataset}\nmethods: {methods}\ntasks: {tasks}\nseeds: [0]\n"
    return parse_spec(text, "s.yaml", **told)


def mistakes(*given, **told):
    with pytest.raises(SpecError) as error:
        sweep(*given, **told)
    return [str(problem) for problem in error.value.problems]


def recipes(read):
    """The data recipes of its methods, by method."""
    return {stage.recipe.method: stage.recipe.data for stage in make_plan(read).stages.values()}


@pytest.fixture
def root(tmp_path):
    for part in ("train", "val"):
        for position, name in enumerate(("a", "b", "c", "d")):
            folder = tmp_path / "images" / part / name
            folder.mkdir(parents=True)
            Image.new("RGB", (16, 16), (position, 0, 0)).save(folder / "0.png")
    return tmp_path / "images"


def test_synthetic_images_are_what_is_asked_for():
    read = sweep("{name: synthetic, classes: 6, train_per_class: 5, image_size: 16}")
    info = read.dataset.info
    assert (info.classes, info.train_images, info.test_images, read.dataset.image_size) == (6, 30, 120, 16)
    assert [len(job.tasks[0]) for job in make_plan(read).jobs] == [3]
    other = sweep("{name: synthetic, classes: 6, train_per_class: 6, image_size: 16}")
    assert not make_plan(read).stages.keys() & make_plan(other).stages.keys()
    assert sweep("synthetic").dataset.info.classes == 10


def test_a_folders_classes_and_content_enter_the_identity_and_its_place_does_not(root, tmp_path):
    given = f"{{name: folder, root: {root}, image_size: 16}}"
    read = sweep(given)
    assert read.dataset.info.classes == 4 and read.dataset.image_size == 16
    before = make_plan(read).stages.keys()
    root.rename(tmp_path / "moved")
    assert make_plan(sweep(given, data_root=str(tmp_path / "moved"))).stages.keys() == before
    Image.new("RGB", (16, 16), (9, 9, 9)).save(tmp_path / "moved" / "val" / "d" / "0.png")
    assert not make_plan(sweep(given, data_root=str(tmp_path / "moved"))).stages.keys() & before


def test_listed_classes_can_be_planned_before_the_files_are_there(tmp_path):
    read = sweep(f"{{name: folder, root: {tmp_path}, classes: [x, y]}}")
    assert read.dataset.info.classes == 2 and len(make_plan(read).jobs) == 1
    with pytest.raises(UserError, match=f"{tmp_path} has no folders train and val"):
        require_files(read.dataset)
    (mistake,) = mistakes(f"{{name: folder, root: {tmp_path}}}")
    assert "With `classes: [...]` a sweep can be planned without the files" in mistake


def test_what_is_wrong_with_a_folder_is_told(root):
    (mistake,) = mistakes(f"{{name: folder, root: {root}, classes: [a, z]}}")
    assert f"{root}/train/z holds no image" in mistake and mistake.startswith("s.yaml:2:10: dataset: ")
    found = mistakes(f"{{name: folder, root: {root}, classes: [a, a, ../b]}}")
    assert len(found) == 2 and "'a' is given twice" in found[0] and "'../b' is no folder's name" in found[1]
    (mistake,) = mistakes(f"{{name: folder, root: {root}, classes: []}}")
    assert "the list of classes is empty" in mistake


def test_options_of_another_data_set_are_unknown_keys():
    (mistake,) = mistakes("{name: tiny-imagenet, train_per_class: 3}")
    assert "unknown key 'train_per_class'" in mistake
    (mistake,) = mistakes("{name: synthetic, classes: 0}")
    assert "dataset.classes: 0 is too small" in mistake


def test_a_part_of_a_data_set_enters_the_identity_where_it_is_given():
    whole, part = sweep("cifar100"), sweep("{name: cifar100, classes: 20, train_per_class: 100}")
    info = part.dataset.info
    assert (info.classes, info.train_images, info.test_images) == (20, 2000, 2000)
    assert recipes(part)["base"].options == {"classes": 20, "train_per_class": 100}
    assert recipes(whole)["base"].options == {} and not make_plan(whole).stages.keys() & make_plan(part).stages.keys()
    assert {len(job.tasks[0]) for job in make_plan(part).jobs} == {10}
    # What takes nothing away is the data set itself.
    everything = sweep("{name: cifar100, classes: 100, train_per_class: 500, test_per_class: 100}")
    assert make_plan(everything).stages.keys() == make_plan(whole).stages.keys()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{name: cifar100, classes: 101}", "s.yaml:2:36: dataset.classes: 101 is too large. It must be at most 100"),
        ("{name: cifar100, classes: 1}", "s.yaml:2:36: dataset.classes: 1 is too small. It must be at least 2"),
        ("{name: cifar10, test_per_class: 1001}", "dataset.test_per_class: 1001 is too large. It must be at most 1000"),
        ("{name: fashion-mnist, train_per_class: 0}", "dataset.train_per_class: 0 is too small"),
        ("{name: digits, train_per_class: 140}", "a class of digits has no more than 139"),
        ("{name: cifar10, classes: [cat, dog]}", "is not a whole number"),
    ],
)
def test_no_more_can_be_taken_than_there_is(given, told):
    (mistake,) = mistakes(given)
    assert told in mistake


def test_a_part_is_called_so_where_it_is_compared(tmp_path):
    from orchestrator.results.job_result import job_settings

    part = sweep("{name: cifar100, classes: 20}")
    assert job_settings(part, make_plan(part).jobs[0])["dataset"] == "cifar100 (20 classes)"
    sweep_folder.save(tmp_path / "runs", make_plan(part))
    assert sweep_folder.load(tmp_path / "runs", "s").spec.dataset.info == part.dataset.info


def test_each_method_has_its_own_normalisation_and_augmentation():
    data = recipes(sweep("cifar100", "[lwf, dgr, r-dfcil]", "[10]"))
    assert data["lwf"].mean is None and data["lwf"].augmentation == "jitter-flip-crop"
    assert (data["dgr"].mean, data["dgr"].std) == ((0.0,) * 3, (1.0,) * 3)
    assert data["r-dfcil"].mean == (0.5071, 0.4867, 0.4408) and data["r-dfcil"].std == (0.2675, 0.2565, 0.2761)
    assert data["r-dfcil"].augmentation == "normalise-crop-flip"
    # Digits must not be flipped, and have no published mean.
    own = recipes(sweep("digits", "[r-dfcil]"))["r-dfcil"]
    assert own.mean is None and own.augmentation == "normalise-crop"


def test_a_fresh_generator_has_no_parent_and_the_networks_variant_is_in_the_recipe():
    stages = make_plan(sweep("cifar100", "[abd, r-dfcil]", "[5]")).stages.values()
    for stage in stages:
        if stage.recipe.kind == "dream":
            of_r_dfcil = stage.recipe.training["backbone"] == "resnet32-r-dfcil"
            expected = {"model"} if of_r_dfcil or stage.recipe.task == 1 else {"model", "generator"}
            assert stage.recipe.parents.keys() == expected
            assert stage.recipe.settings["steps"] == (5000 if of_r_dfcil else 10_000)


def test_images_that_the_methods_cannot_make_are_a_mistake():
    (mistake,) = mistakes("{name: synthetic, image_size: 100}", "[r-dfcil]")
    assert "100 is not divisible by 8, as images that r-dfcil dreams must be. 96 or 104 would do" in mistake
    (mistake,) = mistakes("{name: synthetic, image_size: 12}", "[dgr]")
    assert "12 is not divisible by 8, as images that dgr makes must be. 8 or 16 would do" in mistake


def test_a_launched_sweep_is_planned_again_without_its_images(root, tmp_path):
    read = sweep(f"{{name: folder, image_size: 16, root: {root}}}", data_root=str(root))
    plan = make_plan(read)
    sweep_folder.save(tmp_path / "runs", plan)
    root.rename(tmp_path / "gone")
    assert sweep_folder.load(tmp_path / "runs", "s").stages.keys() == plan.stages.keys()


def test_a_rehearsal_is_planned_again_as_a_rehearsal(tmp_path):
    plan = make_plan(rehearse(sweep("cifar100", "[base]", "[5]")))
    sweep_folder.save(tmp_path / "runs", plan)
    again = sweep_folder.load(tmp_path / "runs", "s-rehearsal")
    assert again.stages.keys() == plan.stages.keys() and again.spec.rehearsed
