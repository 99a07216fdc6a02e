"""Steps that are captured: on the CPU, where the recorded operators of a step stand for the CUDA graph."""

import inspect
from dataclasses import replace

import pytest
import torch

from dfcil_core import capture, optimization
from dfcil_core.context import Batch
from dfcil_core.execution import Execution
from dfcil_core.methods import METHODS
from dfcil_core.optimization import set_capturable
from dfcil_core.supplied import CannotCapture, Supplies, supplied
from orchestrator.plan.stage import Stage
from tests.support.helpers import plan_of, run_one, run_plan
from tests.support.recorded_operators import RecordedOperators

CPU = torch.device("cpu")
CAPTURE = Execution(capture="auto")


@pytest.fixture
def recorders(monkeypatch):
    """All that are made, where there is no CUDA device, and a comparison of six steps."""
    made = []

    def recorder_of(device):
        made.append(RecordedOperators())
        return made[-1]

    monkeypatch.setattr(capture, "recorder_of", recorder_of)
    monkeypatch.setattr(capture, "_refusals", {})
    monkeypatch.setattr(capture, "COMPARED", 6)
    return made


# ---- a step that is computed by hand ---------------------------------------------------------------------------------


class Product:
    """`w x`, x being 1, 2, 3, ... of the host: a step of SGD takes `lr x` from w, which starts as 100."""

    def __init__(self, kind="product", device=CPU):
        self.kind, self.device = kind, device
        self.w = torch.nn.Parameter(torch.tensor([100.0]))
        self.optimizer = torch.optim.SGD([self.w], lr=1.0)
        self.totals = torch.zeros(1)
        self.x = 0

    def given(self):
        return torch.tensor([float(self.x)])

    def compute(self):
        loss = self.loss(supplied(self.given, CPU))
        self.optimizer.zero_grad()
        loss.sum().backward()
        self.optimizer.step()
        self.totals += loss.detach()

    def loss(self, x):
        return self.w * x

    def inputs(self):
        while True:
            self.x += 1
            yield

    def state(self):
        return self.w.detach().clone(), self.x

    def restore(self, state):
        with torch.no_grad():
            self.w.copy_(state[0])
        self.x = state[1]

    @property
    def step(self):
        return capture.Step(
            self.kind, self.compute, self.totals, self.inputs, lambda: [self.optimizer], self.state, self.restore
        )

    def go_on(self, static, steps):
        """So many steps; w after each."""
        found = []
        for _, _ in zip(range(steps), self.inputs(), strict=False):
            static()
            found.append(self.w.item())
        return found


def captured_product(product, recorders):
    static = capture.captured(product.step, CPU)
    return static, recorders[-1]


def test_steps_are_replayed_on_what_the_host_gives_each_of_them(recorders):
    product = Product()
    static, recorder = captured_product(product, recorders)
    assert (product.w.item(), product.x) == (100.0, 0)  # as if nothing had been compared
    before = recorder.replays
    assert product.go_on(static, 6) == [99, 97, 94, 90, 85, 79]
    assert static.refused is None and recorder.replays - before == 6 - capture.WARM_UP


def test_another_learning_rate_is_another_capture(recorders):
    product = Product()
    static, recorder = captured_product(product, recorders)
    before = recorder.recordings
    product.go_on(static, 5)  # 85
    product.optimizer.param_groups[0]["lr"] = 0.5
    assert product.go_on(static, 2) == [85 - 3, 85 - 3 - 3.5]
    assert recorder.recordings - before == 2


def test_another_shape_of_what_the_host_gives_is_another_capture(recorders):
    product = Product()
    static, recorder = captured_product(product, recorders)
    before = recorder.recordings
    product.go_on(static, 5)  # 85
    product.given = lambda: torch.tensor([float(product.x)] * 3)
    product.totals.resize_(3)
    static._supplies._buffers[0] = product.given, static._supplies._buffers[0][1]
    assert product.go_on(static, 1) == [85 - 3 * 6]
    assert recorder.recordings - before == 2


def refusal_of(product):
    state = product.state()
    with pytest.raises(CannotCapture) as refusal:
        capture.captured(product.step, CPU)
    assert product.state() == state
    return str(refusal.value)


class Reading(Product):
    def loss(self, x):
        return self.w * x.item()


class Drawing(Product):
    def loss(self, x):
        return self.w * x * (1 + 0 * torch.rand(1))


class Counting(Product):
    calls = 0

    def loss(self, x):
        self.calls += 1
        return self.w * x * (2 if self.calls == 5 else 1)


class Fickle(Product):
    def compute(self):
        super().compute()
        if self.x % 2 == 0:
            supplied(self.given, CPU)


class Failing(Product):
    """Only where it is captured, and the end of the capture fails too."""

    runs = 0

    def loss(self, x):
        self.runs += 1
        if self.runs == 6 + capture.WARM_UP + 1:
            try:
                raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors might ...")
            except RuntimeError:
                raise RuntimeError("operation failed due to a previous error during capture") from None
        return self.w * x


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Reading, "_local_scalar_dense within the step"),
        (Drawing, "rand draws within the step"),
        (Counting, "at step 5 of the comparison the loss is 450 in the graph, eagerly 900"),
        (Fickle, "it does not ask the host for the same things at every step"),
        (Failing, "operation not permitted when stream is capturing"),
    ],
)
def test_what_cannot_be_captured_is_refused_with_its_reason(kind, reason, recorders):
    told, _, place = refusal_of(kind(kind)).partition(" (")
    assert told == reason
    assert (place != "") is (kind is not Counting)


def test_a_refusal_says_where_the_step_was(recorders):
    line = inspect.getsourcelines(Failing.loss)[1] + 4
    assert refusal_of(Failing()).endswith(f" (test_capture.py, line {line})")


def test_what_fails_to_be_captured_later_goes_on_eagerly(recorders):
    product = Product()
    static, _ = captured_product(product, recorders)
    product.go_on(static, 5)  # 85
    product.optimizer.param_groups[0]["lr"] = 0.5
    product.loss = lambda x: product.w * x.item()
    assert product.go_on(static, 2) == [85 - 3, 85 - 3 - 3.5]
    assert static.refused.startswith("_local_scalar_dense within the step")


def test_a_kind_of_step_is_compared_once(recorders):
    for kind, compared in (("one", 1), ("one", 1), ("other", 2)):
        capture.captured(Product(kind).step, CPU)
        assert sum(recorder.recordings > 0 for recorder in recorders) == compared


def test_an_error_of_the_step_itself_is_none_of_the_captures(recorders):
    product = Product()
    product.loss = lambda x: product.lacking
    with pytest.raises(AttributeError):
        capture.captured(product.step, CPU)


def test_on_a_cpu_nothing_is_captured():
    assert refusal_of(Product()) == "there is no CUDA device"


# ---- what steps ask the host for -------------------------------------------------------------------------------------


def test_a_batchs_positions_are_not_for_a_captured_step():
    batch = Batch(torch.zeros(1), torch.zeros(1), torch.arange(1), None)
    assert batch.positions.tolist() == [0]
    with pytest.raises(CannotCapture, match="it reads batch.positions, which is on the CPU"), Supplies().handed_out():
        _ = batch.positions


def test_what_makes_a_supply_asks_for_nothing_in_the_steps_name():
    supplies, given = Supplies(), iter(range(1, 9))

    def inner():
        return torch.tensor(next(given))

    for expected in (10, 20):
        supplies.fill()
        with supplies.handed_out():
            assert int(supplied(lambda: 10 * supplied(inner, CPU), CPU)) == expected


def test_adam_counts_its_steps_where_it_is_told():
    w = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([w], lr=0.1)
    w.sum().backward()
    optimizer.step()
    for capturable in (True, False):
        set_capturable(optimizer, capturable)
        assert optimizer.param_groups[0]["capturable"] is capturable
        assert float(optimizer.state[w]["step"]) == 1
    sgd = torch.optim.SGD([w], lr=0.1)
    set_capturable(sgd, True)
    assert "capturable" not in sgd.param_groups[0]


# Fake tensors load torch.compile, which takes seconds.
@pytest.mark.long
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_on_a_gpu_it_counts_them_there_whatever_it_is_told(name):
    """As the fused one does; on a CPU it is torch's own choice."""
    settings = {"optimizer": name}
    assert optimization.optimizer(settings, [torch.nn.Parameter(torch.ones(1))], 0.1, 0.0).defaults["fused"] is None
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        there = torch.nn.Parameter(torch.ones(1, device="cuda"))
        assert optimization.optimizer(settings, [there], 0.1, 0.0).param_groups[0]["fused"] is True


# ---- the stages of every method --------------------------------------------------------------------------------------


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.safetensors")}


def ways(records):
    """How the phases of all stages were stepped, without the place of what was refused; taken out of the records."""
    hows = [how for record in records.values() for how in record.pop("capture", {}).values()]
    return {how.partition(" (")[0] for how in hows}


def captured_as_eager(plan, folder):
    eager, captured = run_plan(plan, folder / "eager"), run_plan(plan, folder / "captured", CAPTURE)
    found = ways(captured)
    assert captured == eager
    assert contents(folder / "captured") == contents(folder / "eager")
    return found


# It dreams, has two phases and modules beside the student, and its optimiser goes on into the second phase.
def test_a_stage_has_the_eager_numbers_to_the_last_bit(recorders, tmp_path):
    plan = plan_of("r-dfcil", (2, 2), training={"schedule": "cosine", "gradient_clip": 1.0}, steps=5)
    assert captured_as_eager(plan, tmp_path) == {"captured"}
    assert sum(recorder.replays for recorder in recorders) > 10


# All stages of each method twice, and the comparisons: a minute.
@pytest.mark.long
@pytest.mark.parametrize("quirks", ["none", "iccv2021"])
@pytest.mark.parametrize("method", METHODS)
def test_every_methods_stages_do(method, quirks, recorders, tmp_path):
    plan = plan_of(method, (2, 2), memory=20, quirks=quirks, steps=8)
    assert captured_as_eager(plan, tmp_path) == {"captured"}
    assert sum(recorder.replays for recorder in recorders) > 6


@pytest.mark.parametrize(
    ("training", "found"),
    [
        ({"optimizer": "adam"}, {"eager: _local_scalar_dense within the step"}),  # on a CPU it counts no other way
        ({"precision": "bfloat16"}, {"captured"}),
    ],
)
def test_other_settings(training, found, recorders, tmp_path):
    assert captured_as_eager(plan_of("base", (2, 2), training=training), tmp_path) == found


class Stopped(Exception):
    pass


def test_a_captured_stage_goes_on_from_a_save_of_any_kind(recorders, tmp_path):
    plan = plan_of("base", (2, 2), training={"epochs": 3})
    first, last = plan.stages.values()
    run_one(first, tmp_path)
    expected = run_one(last, tmp_path, into="whole")

    def stop(news):
        if news.get("epoch") == 2:
            raise Stopped

    for before, after in (("auto", "auto"), ("auto", "off"), ("off", "auto")):
        saves = tmp_path / f"{before}-{after}"
        saves.mkdir()
        with pytest.raises(Stopped):
            run_one(last, tmp_path, Execution(saves=saves, save_every=0, report=stop, capture=before), f"{saves}-cut")
        record = run_one(last, tmp_path, Execution(saves=saves, capture=after), f"{saves}-again")
        assert record.pop("capture", None) == (None if after == "off" else {"train": "captured"})
        assert record == expected
        assert contents(tmp_path / f"{saves}-again") == contents(tmp_path / "whole")


def test_crops_of_any_shape_are_made_beside_the_graph(recorders, tmp_path):
    (stage,) = plan_of("base", (4,)).stages.values()
    data = replace(stage.recipe.data, augmentation="resized-crop-flip")
    stage = Stage(replace(stage.recipe, data=data))
    eager, captured = (run_one(stage, tmp_path, way, str(way.capture)) for way in (Execution(), CAPTURE))
    assert captured.pop("capture") == {"train": "captured"}
    assert captured == eager
    assert contents(tmp_path / "auto") == contents(tmp_path / "off")
