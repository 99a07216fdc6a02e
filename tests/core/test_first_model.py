"""A network from a file in the place of task 1's training, and networks of the public code under our names."""

import subprocess
import sys
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from dfcil_core.artifacts import NETWORK
from dfcil_core.errors import MissingData
from dfcil_core.execution import Execution
from dfcil_core.first_model import Misfit, check_fits, convert, from_public_code, load_first_model, sha256, shapes
from dfcil_core.networks import build as networks
from tests.support.helpers import plan_of, run_one


def network(seed=0, backbone="resnet8", width=10):
    """With statistics of batch normalisation that are not those of a fresh one."""
    rng = torch.Generator().manual_seed(seed)
    made = networks.build(backbone, width, generator=rng)
    for name, buffer in made.named_buffers():
        if name.endswith("running_mean"):
            nn.init.normal_(buffer, generator=rng)
        elif name.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 2, generator=rng)
    return made.eval()


def saved(path, network):
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    return sha256(path)


# ---- the public code's network, by its architecture and its names ----------------------------------------------------


class PublicBlock(nn.Module):
    def __init__(self, before, size, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, size, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(size)
        self.conv2 = nn.Conv2d(size, size, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(size)
        self.halves = stride == 2

    def forward(self, x):
        after = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.halves:
            quarter = after.shape[1] // 4
            x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return functional.relu(after + x)


class Public(nn.Module):
    """A residual network of three stages as models/resnet.py names its parts; fully written again from the paper."""

    def __init__(self, blocks, width):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(PublicBlock(16, 16, 1) for _ in range(blocks)))
        for number, size in ((2, 32), (3, 64)):
            first, rest = PublicBlock(size // 2, size, 2), [PublicBlock(size, size, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{number}", nn.Sequential(first, *rest))
        self.last = nn.Linear(64, width)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.last(x.mean((2, 3)))


@pytest.fixture
def public(tmp_path):
    """A trained-looking network of five blocks a stage, as the public code saves it; the file, and images."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made, images = Public(5, 20), torch.randn(4, 3, 32, 32)
        made.train()(images)  # moves the statistics
    path = tmp_path / "class.pth"
    torch.save(OrderedDict(made.state_dict()), path)
    return made.eval(), path, images


def test_a_network_of_the_public_code_gives_the_same_logits(public, tmp_path):
    theirs, path, images = public
    convert(path, tmp_path / "first.safetensors", "resnet32")
    ours = networks.load(tmp_path / "first.safetensors", "resnet32", 20).eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)
        assert theirs(images).std() > 0.01


def test_files_of_old_torch_and_of_several_devices_are_read_too(public, tmp_path):
    theirs, path, _ = public
    state = {f"module.{name}": tensor for name, tensor in theirs.state_dict().items() if "num_batches" not in name}
    torch.save(state, path, _use_new_zipfile_serialization=False)
    found = convert(path, tmp_path / "first.safetensors", "resnet32")
    assert torch.equal(found["backbone.blocks.7.convolution2.weight"], theirs.layer2[2].conv2.weight)
    assert found["backbone.normalisation.num_batches_tracked"] == 0


def test_what_is_none_of_its_networks_is_refused_by_name(public, tmp_path):
    theirs, path, _ = public
    with pytest.raises(Misfit, match=r"it has what the network has not: backbone.blocks.3.convolution1.weight, .* and"):
        convert(path, tmp_path / "first.safetensors", "resnet8")
    with pytest.raises(Misfit, match=r"fc\.weight is no tensor of the public code's"):
        from_public_code({**theirs.state_dict(), "fc.weight": torch.zeros(3)}, "resnet32")
    with pytest.raises(Misfit, match="it is no state dict of tensors: epoch"):
        from_public_code({"epoch": 3}, "resnet32")
    with pytest.raises(Misfit, match="it is no state dict of tensors: it is empty"):
        from_public_code({}, "resnet32")
    assert not (tmp_path / "first.safetensors").exists()


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_nothing_but_tensors_is_read_of_it(tmp_path, capsys):
    torch.save({"conv1.weight": Evil()}, tmp_path / "class.pth")
    with pytest.raises(Misfit, match="it is no file of tensors that torch saved"):
        convert(tmp_path / "class.pth", tmp_path / "first.safetensors", "resnet32")
    assert "executed" not in capsys.readouterr().out
    (tmp_path / "text.pth").write_text("no tensors")
    with pytest.raises(Misfit, match="it is no file of tensors that torch saved"):
        convert(tmp_path / "text.pth", tmp_path / "first.safetensors", "resnet32")


def test_the_command(public, tmp_path):
    _, path, _ = public
    target = tmp_path / "first.safetensors"
    run = "from orchestrator.cli import main; main()"
    command = [sys.executable, "-c", run, "convert-model", str(path), str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and sha256(target) in done.stdout
    assert "resnet32 with 20 outputs" in done.stdout
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2 and "is there already" in again.stderr


# ---- does a file fit? ------------------------------------------------------------------------------------------------


def test_a_network_that_does_not_fit_is_named_tensor_by_tensor(tmp_path):
    saved(tmp_path / "narrow", network(width=5))
    found = shapes(tmp_path / "narrow")
    check_fits(found, "resnet8", 5)
    with pytest.raises(Misfit) as told:
        check_fits(found, "resnet8", 10)
    assert str(told.value) == (
        "of another shape: head.weight is 5 x 64 in the place of 10 x 64, head.bias is 5 in the place of 10"
    )
    with pytest.raises(
        Misfit, match=r"it lacks backbone.blocks.3.convolution1.weight, .* and \d+ more; of another shape"
    ):
        check_fits(found, "resnet14", 5)
    with pytest.raises(Misfit, match="^it has what the network has not: head.bias$"):
        check_fits(found, "resnet8-r-dfcil", 5)
    with pytest.raises(Misfit, match="it is no safetensors file"):
        (tmp_path / "text").write_text("no tensors")
        shapes(tmp_path / "text")


def test_a_worker_reads_the_file_that_was_planned_or_none(tmp_path):
    path = tmp_path / "first"
    digest = saved(path, network())
    loaded = load_first_model({digest: str(path)}, digest, "resnet8", 10)
    assert torch.equal(loaded.head.weight, network().head.weight)
    saved(path, network(1))
    with pytest.raises(MissingData, match="is another file than when the sweep was planned"):
        load_first_model({digest: str(path)}, digest, "resnet8", 10)
    path.unlink()
    with pytest.raises(MissingData, match="cannot be read here: No such file"):
        load_first_model({digest: str(path)}, digest, "resnet8", 10)
    broken = network()
    broken.head.weight.data[3, 2] = float("nan")
    digest = saved(path, broken)
    with pytest.raises(Misfit, match="head.weight has a value that is no finite number"):
        load_first_model({digest: str(path)}, digest, "resnet8", 10)


# ---- a sweep that starts from a file ---------------------------------------------------------------------------------


def test_a_network_that_was_trained_here_goes_on_to_the_same_numbers(tmp_path):
    trained = plan_of(["base", "e2e"], (2, 2, 2), memory=24)
    records = {key: run_one(stage, tmp_path) for key, stage in trained.stages.items()}
    first = next(iter(trained.stages))
    file = tmp_path / first / NETWORK

    taken = plan_of(["base", "e2e"], (2, 2, 2), memory=24, first_model=file)
    execution = Execution(first_models={sha256(file): str(file)})
    again = {key: run_one(stage, tmp_path, execution) for key, stage in taken.stages.items()}
    assert not set(trained.stages) & set(taken.stages)
    assert len(taken.stages) == len(trained.stages), "the first stage is shared, and so is nothing less than before"
    start = again[next(iter(taken.stages))]
    assert start["curves"] == {"loss": [], "lr": []} and start["evaluation"] == records[first]["evaluation"]
    for job, other in zip(trained.jobs, taken.jobs, strict=True):
        for one, two in zip(job.stages[1:], other.stages[1:], strict=True):
            assert again[two] == records[one]
            for path in (tmp_path / one).glob("*.safetensors"):
                ours, theirs = load_file(path), load_file(tmp_path / two / path.name)
                assert all(torch.equal(ours[name], theirs[name]) for name in ours)
