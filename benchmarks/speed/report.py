"""What was measured, as JSON and as a markdown table, with the machine that it was measured on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from benchmarks.speed import clock
from benchmarks.speed.measure import Measured
from benchmarks.speed.ours import Sizes, as_in_a_stage
from dfcil_core import processor

PACKAGES = ("torch", "torchvision", "numpy", "pillow")
_CAPTURED = " captured: ms | quartiles | times faster than eager | its graph, MiB |"


def machine(sizes: Sizes) -> dict[str, Any]:
    """Hardware, versions, and what the hardware can do on one thread."""
    with as_in_a_stage(sizes.device):
        products = {
            str(dtype).removeprefix("torch."): clock.matrix_product(dtype, sizes.device)
            for dtype in (torch.float32, torch.bfloat16)
        }
        copied = clock.bandwidth(sizes.device)
    return {
        "processor": processor.model(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": sizes.device if sizes.kind == "cpu" else torch.cuda.get_device_name(sizes.device),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "date": time.strftime("%F"),
        "matrix_product_gflops": products,
        "copy_gb_per_second": copied,
    }


def as_json(sizes: Sizes, of: dict[str, Any], lines: Iterable[Measured]) -> dict[str, Any]:
    return {"sizes": asdict(sizes), "machine": of, "lines": [asdict(line) for line in lines]}


def as_markdown(sizes: Sizes, of: dict[str, Any], lines: list[Measured]) -> str:
    """A table of all that has a plain counterpart, and a sentence for each of what has none."""
    product = of["matrix_product_gflops"][sizes.precision]
    versions = ", ".join(f"{name} {number}" for name, number in of["versions"].items())
    what = "CPU seconds of one thread" if sizes.kind == "cpu" else "seconds"
    captured = any("how" in line.more for line in lines)
    head = [
        f"{of['processor']}, {of['cores']} cores, {of['instructions']}, load {of['load']:.1f}; {of['device']}; "
        f"Python {of['python']}, {versions}; {of['date']}.",
        f"{sizes.backbone}, {sizes.image_size} x {sizes.image_size}, batches of {sizes.batch_size}, {sizes.precision}. "
        f"A matrix product does {product:.0f} GFLOP/s, a copy {of['copy_gb_per_second']:.1f} GB/s.",
        "",
        f"| step | n | ms, median ({what}) | quartiles | GFLOP/s | of a product | peak MiB | plain: ms | quartiles "
        "| peak MiB | times faster | target |" + captured * _CAPTURED,
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        + captured * _CAPTURED.count("|") * " ---: |",
    ]
    rows = [_row(line, product, sizes) + captured * _captured(line) for line in lines if line.plain]
    rest = [_sentence(line) for line in lines if not line.plain]
    return "\n".join([*head, *rows, "", *rest]) + "\n"


def _row(line: Measured, product: float, sizes: Sizes) -> str:
    assert line.plain is not None and line.ratio is not None
    rate = (line.flops or 0) / line.ours["median"] / 1e9
    rates = f"{rate:.0f} | {100 * rate / product:.0f}%" if rate >= 1 else "|"
    target = line.target if (sizes.kind, sizes.precision) == ("cpu", "float32") else None
    verdict = "" if target is None else f"{target} {'met' if line.ratio >= target else 'missed'}"
    return (
        f"| {line.name} | {line.ours['n']:.0f} | {1000 * line.ours['median']:.1f} | {_quartiles(line.ours)} | {rates} "
        f"| {line.more['ours_mib']:.0f} | {1000 * line.plain['median']:.1f} | {_quartiles(line.plain)} "
        f"| {line.more['plain_mib']:.0f} | {line.ratio:.2f} | {verdict} |"
    )


def _captured(line: Measured) -> str:
    """The last cells of a step that was timed as one CUDA graph too, or why it was not."""
    if "captured" not in line.more:
        return f" {line.more.get('how', '')} | | | |"
    summary = line.more["captured"]
    return (
        f" {1000 * summary['median']:.1f} | {_quartiles(summary)} | {line.more['times_faster_captured']:.2f} "
        f"| {line.more['graph_mib']:.0f} |"
    )


def _quartiles(summary: dict[str, float]) -> str:
    return f"{1000 * summary['quartile_1']:.1f} to {1000 * summary['quartile_3']:.1f}"


def _sentence(line: Measured) -> str:
    more, over = line.more, 100 * (line.more["step_in_stage_over_bare_step"] - 1)
    verdict = "met" if more["step_in_stage_over_bare_step"] <= more["bound"] else "missed"
    return (
        f"A whole stage of {more['steps']} steps of `base`: {line.ours['median']:.2f} s (n = {line.ours['n']:.0f}), "
        f"{more['fixed_seconds']:.2f} s more than as many bare steps: a step costs {over:.0f}% more than a bare one "
        f"(target 10%: {verdict})."
    )
