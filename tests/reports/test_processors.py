"""Two sides that were computed on other processors say so, in `compare` and on the page."""

from dataclasses import replace

import pytest

from orchestrator.cli import sources
from reports.compare import compare, summary
from reports.jobs import machines, told_apart
from reports.tables.comparison import render
from tests.support.fabricated import record
from tests.support.reported import SPEC, launched, output

SMALL = SPEC.replace("  - rehearsal\n", "").replace("tasks: [2, 5]", "tasks: [2]").replace("repeats: 3", "seeds: [0]")


def on(processor=None, instructions=None, device=None):
    """Records of stages that such a machine computed; None: the record does not say."""

    def made(plan, stage):
        told = record(plan, stage)
        told["provenance"]["device"] = device or f"cpu ({processor})"
        told["provenance"] |= {"processor": processor} if processor else {}
        told["provenance"] |= {"instructions": instructions} if instructions else {}
        return told

    return made


def jobs_on(folder, *machine, **more):
    launched(folder, text=SMALL, made=on(*machine, **more))
    return sources.read(str(folder), ["demo"], "cpu", None)[0].jobs


@pytest.mark.parametrize(
    ("a", "b", "differ"),
    [
        (("AMD EPYC", "AVX2"), ("Intel Xeon", "AVX512"), True),
        (("AMD EPYC", "AVX2"), ("AMD EPYC", "AVX512"), True),
        (("AMD EPYC", None), ("Intel Xeon", None), True),  # older records: the device names the processor
        (("AMD EPYC", "AVX2"), ("AMD EPYC", "AVX2"), False),
        (("AMD EPYC", "AVX2"), ("AMD EPYC", None), False),  # an older record does not say
    ],
)
def test_compare_notes_other_processors(a, b, differ, tmp_path):
    first, second = jobs_on(tmp_path / "a", *a), jobs_on(tmp_path / "b", *b)
    assert told_apart(first, second) == differ
    found = compare(first, second)
    assert found.identical and "identical" in summary(found), "the note is no difference"
    for form in ("terminal", "markdown", "json"):
        assert ("differ by processor" in render(found, form)) == differ
    if differ:
        (remark,) = found.remarks
        assert f"A was computed on {', '.join(filter(None, (f'cpu ({a[0]})', a[1])))}" in remark
        assert f"B on {', '.join(filter(None, (f'cpu ({b[0]})', b[1])))}:" in remark


def test_a_graphics_card_is_told_from_a_processor_and_not_by_what_stands_beside_it(tmp_path):
    one = jobs_on(tmp_path / "a", "AMD EPYC", "AVX2", device="cuda (H100)")
    other = jobs_on(tmp_path / "b", "AMD EPYC", "AVX2")
    assert machines(one) == ["cuda (H100)"] and machines(other) == ["cpu (AMD EPYC), AVX2"]
    assert told_apart(one, other) and machines([*one, *other, *one]) == [*machines(one), *machines(other)]
    nowhere = [replace(job, provenance={}) for job in one]
    assert machines(nowhere) == [] and not told_apart(nowhere, other)


@pytest.mark.parametrize(
    ("a", "b"), [(("AMD EPYC", "AVX2"), ("Intel Xeon", "AVX512")), (("AMD EPYC", "AVX2"), ("AMD EPYC", "AVX2"))]
)
def test_the_page_names_them_and_says_when_they_differ(a, b, tmp_path):
    launched(tmp_path, "demo", SMALL, made=on(*a))
    launched(tmp_path, "other", SMALL.replace("seeds: [0]", "seeds: [1]"), made=on(*b))
    page = output("report", "demo", "other", "--runs", tmp_path, "--format", "html")
    told = page[page.index('<h2 id="provenance">') :]
    assert f"<dt>Processors</dt><dd>{a[0]}</dd>" in told and f"<dt>Instructions</dt><dd>{b[1]}</dd>" in told
    assert ("2 kinds of machine" in told) == (a != b)
    assert ("cpu (AMD EPYC), AVX2; cpu (Intel Xeon), AVX512" in told) == (a != b)
