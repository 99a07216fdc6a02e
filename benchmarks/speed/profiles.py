"""Where the time of a step goes: a profile by operator, beside what the processor and the memory could do."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

STEPS = 5
ROWS = 12
_FLOPS = {
    "aten::mkldnn_convolution": ("convolution",),
    "aten::convolution_backward": ("convolution_backward",),
    "aten::mm": ("mm",),
    "aten::addmm": ("addmm",),
    "aten::bmm": ("bmm",),
}
"""Operators that are bound by arithmetic, and what the counter of operations calls them."""
_PASSES = {
    "aten::native_batch_norm": 3,  # the moments, then what comes out of what goes in
    "aten::native_batch_norm_backward": 5,  # twice through the input and the gradient, and out
    "aten::threshold_backward": 3,
    "aten::leaky_relu_backward": 3,
    "aten::add": 3,
    "aten::add_": 3,
    "aten::sub": 2,
    "aten::addcmul": 2,
    "aten::relu_": 2,
    "aten::clamp_min_": 2,
    "aten::leaky_relu_": 2,
    "aten::pow_": 2,
    "aten::copy_": 2,
    "aten::sum": 1,
    "aten::fill_": 1,
}
"""Operators that are bound by memory, and how often each of an operator's numbers is read or written at the least."""


@dataclass
class Row:
    """An operator, per step."""

    name: str
    seconds: float
    calls: float
    flops: float
    """0 where it is not bound by arithmetic."""
    passed: float
    """Bytes read and written at the least; 0 where it is not bound by memory."""


def by_operator(step: Callable[[], object]) -> list[Row]:
    """The operators of a step on the CPU, the longest first.

    The profiler tells seconds of the clock. They are shortened to this process's share of them, the same for all: what
    other work on the machine takes, it takes from each.
    """
    for _ in range(2):
        step()
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    counted: dict[str, int] = defaultdict(int)
    for operator, count in counter.get_flop_counts().get("Global", {}).items():
        counted[str(operator).removeprefix("aten.")] += count
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        clock, used = time.perf_counter(), time.process_time()
        for _ in range(STEPS):
            step()
        share = (time.process_time() - used) / (time.perf_counter() - clock)
    rows: dict[str, Row] = {}
    for event in profiled.key_averages(group_by_input_shape=True):
        row = rows.setdefault(event.key, Row(event.key, 0.0, 0.0, 0.0, 0.0))
        row.seconds += share * event.self_cpu_time_total / 1e6 / STEPS
        row.calls += event.count / STEPS
        if event.key in _PASSES and event.input_shapes:
            numbers = max((math.prod(shape) for shape in event.input_shapes if isinstance(shape, list)), default=0)
            row.passed += _PASSES[event.key] * 4 * numbers * event.count / STEPS
    for name, operators in _FLOPS.items():
        if name in rows:
            rows[name].flops = float(sum(counted[operator] for operator in operators))
    return sorted(rows.values(), key=lambda row: -row.seconds)


def as_markdown(title: str, rows: list[Row], product: float, copied: float) -> str:
    """The first rows and the sum of the rest; `product` in GFLOP/s and `copied` in GB/s are what the machine does."""
    total = sum(row.seconds for row in rows)
    lines = [
        f"{title}: {1000 * total:.0f} CPU ms a step under the profiler, mean of {STEPS}.",
        "",
        "| operator | share | calls | GFLOP/s | of a product | GB/s | of a copy |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows[:ROWS]:
        arithmetic = memory = "| "
        if row.flops:
            rate = row.flops / row.seconds / 1e9
            arithmetic = f"{rate:.0f} | {100 * rate / product:.0f}%"
        if row.passed:
            rate = row.passed / row.seconds / 1e9
            memory = f"{rate:.0f} | {100 * rate / copied:.0f}%"
        share = 100 * row.seconds / total
        lines.append(f"| {row.name} | {share:.1f}% | {row.calls:.0f} | {arithmetic} | {memory} |")
    rest = sum(row.seconds for row in rows[ROWS:])
    lines.append(f"| the other {len(rows) - ROWS} | {100 * rest / total:.1f}% | | | | | |")
    return "\n".join(lines) + "\n"
