"""Dreaming as a stage: it learns, goes on from where it was, and gives the same numbers every time."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dfcil_core.checkpoint import load_tensors, read_state, save_tensors, write_state
from dfcil_core.config import DataRecipe, Recipe
from dfcil_core.dream.sample import load_generator, sample
from dfcil_core.dream.train import SAVE, dream
from dfcil_core.errors import Diverged
from dfcil_core.execution import Execution
from dfcil_core.networks import build as networks
from dfcil_core.streams import stream

SIZE, OLD = 8, 4


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A network whose running statistics are of something: bright and dark stripes, many sizes of them."""
    folder = tmp_path_factory.mktemp("model")
    network = networks.build("resnet8", 6, 3, stream(0, "init", 0)).train()
    networks.set_bn_momentum(network, 0.5)
    rng = stream(0, "images", 0)
    with torch.no_grad():
        for _ in range(8):
            network(torch.randn(64, 3, SIZE, 1, generator=rng).expand(-1, -1, -1, SIZE).contiguous())
    save_tensors(folder / "network.safetensors", network.state_dict())
    return folder


def recipe(task=1, **settings) -> Recipe:
    return Recipe(
        kind="dream",
        versions={"dream": 1},
        device="cpu",
        seed=3,
        stream=task - 1,
        data=DataRecipe("stripes", "none", SIZE),
        classes=((0, 1, 2, 3),),
        width=6,
        training={"backbone": "resnet8", "batch_size": 16, "precision": "float32"},
        method="deep-inversion",
        settings={"steps": 12, "lr": 1e-3, **settings},
    )


def run(folder, model, execution=None, **options):
    folder.mkdir()
    generator = options.pop("generator", None)
    parents = {"model": model} | ({"generator": generator} if generator else {})
    record = dream(recipe(**options), folder, parents, execution or Execution())
    return record["curves"], load_tensors(folder / "generator.safetensors")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_losses_go_down_and_the_curves_add_up(tmp_path, model):
    curves, _ = run(tmp_path / "dream", model, steps=120, bn_weight=10.0)
    assert curves["step"] == list(range(6, 121, 6))
    assert curves["bn"][-1] < 0.7 * curves["bn"][0]
    # Divided by a temperature of 1000 the logits are alike, and the cross-entropy stays at ln(old) whatever is dreamt.
    assert curves["loss"][-1] - math.log(OLD) < 0.7 * (curves["loss"][0] - math.log(OLD))
    for loss, ce, bn, prior, diversity in zip(*list(curves.values())[:5], strict=True):
        assert loss == pytest.approx(ce + 10 * bn + 1e-3 * prior + diversity, rel=1e-5)


def test_the_same_numbers_every_time(tmp_path, model):
    first = run(tmp_path / "first", model)
    torch.manual_seed(99)
    second = run(tmp_path / "second", model)
    assert first[0] == second[0]
    assert same(first[1], second[1])


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("before", [False, True], ids=["fresh", "continued"])
def test_a_resumed_run_is_the_undisturbed_one(tmp_path, model, monkeypatch, before):
    options = {}
    if before:
        run(tmp_path / "before", model)
        options = {"task": 2, "generator": tmp_path / "before"}
    undisturbed = run(tmp_path / "undisturbed", model, steps=60, **options)

    saves = tmp_path / "saves"
    saves.mkdir()
    written = []

    def write_and_die(path, state):
        write_state(path, state)
        written.append(state["step"])
        # Not at a point of the curves: what was added up since the last one must be kept too.
        if state["step"] == 31:
            raise Killed

    monkeypatch.setattr("dfcil_core.dream.train.write_state", write_and_die)
    execution = Execution(saves=saves, save_every=0.0)
    with pytest.raises(Killed):
        run(tmp_path / "killed", model, execution, steps=60, **options)
    resumed = run(tmp_path / "resumed", model, execution, steps=60, **options)
    assert written[30:32] == [31, 32]
    assert resumed[0] == undisturbed[0]
    assert same(resumed[1], undisturbed[1])
    optimizers = [load_tensors(tmp_path / name / "optimizer.safetensors") for name in ("resumed", "undisturbed")]
    assert same(*optimizers)


def test_a_damaged_save_is_ignored_with_a_warning(tmp_path, model):
    expected = run(tmp_path / "expected", model)
    saves = tmp_path / "saves"
    saves.mkdir()
    run(tmp_path / "first", model, Execution(saves=saves, save_every=0.0))
    content = bytearray((saves / SAVE).read_bytes())
    content[len(content) // 2] ^= 1
    (saves / SAVE).write_bytes(content)
    with pytest.warns(UserWarning, match="cannot be read.*starts again"):
        again = run(tmp_path / "again", model, Execution(saves=saves, save_every=1e9))
    assert same(again[1], expected[1])


def test_a_state_comes_back_as_it_was_and_a_missing_one_is_none(tmp_path):
    assert read_state(tmp_path / "state") is None
    tensor = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    write_state(tmp_path / "state", {"tensor": tensor, "step": 7, "curves": {"loss": [0.1]}})
    state = read_state(tmp_path / "state")
    assert torch.equal(state["tensor"], tensor) and state["tensor"].stride() == tensor.stride()
    assert state["step"] == 7 and state["curves"] == {"loss": [0.1]}
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_the_next_task_goes_on_from_the_generator_and_its_adam_state(tmp_path, model):
    before = run(tmp_path / "before", model, steps=60)[0]
    fresh = run(tmp_path / "fresh", model, task=2, steps=4)[0]
    continued = run(tmp_path / "continued", model, task=2, steps=4, generator=tmp_path / "before")[0]
    assert continued["bn"][0] < 0.9 * fresh["bn"][0]
    # The first point is a mean over steps that train already, so it may lie below where the run before ended.
    assert continued["bn"][0] < 1.3 * before["bn"][-1], f"{continued['bn'][0]}, {before['bn'][-1]}, {fresh['bn'][0]}"
    steps = load_tensors(tmp_path / "continued" / "optimizer.safetensors")
    assert steps["linear.weight.step"].item() == 64


def test_adam_goes_on_as_if_it_had_never_stopped(tmp_path, model, monkeypatch):
    # With the noise of one stream all through, 8 steps are 5 and 3 more.
    whole = run(tmp_path / "whole", model, steps=8)[1]
    run(tmp_path / "first", model, steps=5)

    def later(seed, name, index, device="cpu"):
        rng = stream(seed, name, 0, device)
        if name == "dream":
            for _ in range(5):
                torch.randn(16, 1000, generator=rng)
        return rng

    monkeypatch.setattr("dfcil_core.dream.train.stream", later)
    second = run(tmp_path / "second", model, task=2, steps=3, generator=tmp_path / "first")[1]
    assert same(second, whole)


def test_samples_come_from_the_stored_generator_and_their_own_stream(tmp_path, model):
    run(tmp_path / "dream", model)
    generator = load_generator(recipe(), tmp_path / "dream", torch.device("cpu"))
    rng = stream(3, "noise", 0)
    first, second = sample(generator, 5, rng), sample(generator, 5, rng)
    again = sample(generator, 5, stream(3, "noise", 0))
    assert first.shape == (5, 3, SIZE, SIZE) and not first.requires_grad
    assert torch.equal(first, again) and not torch.equal(first, second)
    # Eval mode: an image does not depend on those beside it.
    noise = torch.randn(5, 1000, generator=stream(3, "noise", 0))
    torch.testing.assert_close(generator(noise[:2]), first[:2], rtol=1e-4, atol=1e-5)


def test_the_picture_has_a_row_of_eight_for_each_old_class(tmp_path, model):
    run(tmp_path / "dream", model)
    with Image.open(tmp_path / "dream" / "dreams.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    # 8 pixels shown 8 wide, and a white margin of one on each side.
    assert pixels.shape == (OLD * 66, 8 * 66, 3)
    assert pixels.std() > 10


def test_progress_is_reported_to_the_last_step(tmp_path, model):
    reports = []
    run(tmp_path / "dream", model, Execution(report=reports.append))
    assert {key: reports[-1][key] for key in ("phase", "step", "steps")} == {"phase": "dream", "step": 12, "steps": 12}
    assert reports[-1]["loss"] > 0


def test_a_loss_that_is_not_finite_says_so(tmp_path, model):
    with pytest.raises(Diverged, match=r"step \d+ of 12 .*dreaming\.lr"):
        run(tmp_path / "dream", model, prior_weight=float("inf"))
