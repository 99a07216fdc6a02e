"""What the page shows method by method: over all seeds and of each, small enough to be sent around."""

import io
from dataclasses import replace

import numpy as np

from orchestrator.results.by_class import Confusion
from reports.frame import frame_of
from reports.page import methods as methods_of
from reports.page import pictures
from reports.page.methods import choices, methods, together_of
from reports.tables.render import render
from tests.support.reported import job


def noise(side: int) -> bytes:
    """A picture: nothing is larger than noise."""
    from PIL import Image

    sheet = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)).save(sheet, "PNG")
    return sheet.getvalue()


def test_forty_jobs_of_a_hundred_classes_stay_below_two_megabytes():
    """Ten methods of four seeds each, two of which dream."""
    taken = np.random.default_rng(0).multinomial(100, [0.01] * 100, 100)  # a matrix without any order in it
    sheets = [(task, noise(320)) for task in range(1, 20)]
    jobs = [
        replace(
            job(f"method-{number}", seed, split="20", tasks=20),
            matrix=tuple(tuple(50.0 + t - j for j in range(t)) for t in range(1, 21)),
            local=((90.0,) * 20,) * 20,
            images=(500,) * 20,
            confusion=lambda: Confusion(tuple(f"aquarium fish {at}" for at in range(100)), (5,) * 20, taken),
            dreams=(lambda: sheets) if number < 2 else (list),
        )
        for number in range(10)
        for seed in range(4)
    ]
    text = render(frame_of(jobs), "html", sweeps=(), jobs=jobs)
    assert len(text) < 2_000_000
    # Every matrix is there; of the dreams those of the first seeds, and it is said whose are left out.
    assert text.count('<table class="heat"') == text.count('<figure class="confusion"') == 10 * (1 + 4)
    shown = text.count('<div class="dreams"')
    assert shown % 2 == 0 and 2 <= shown < 8
    assert text.count(" are left out: the page would be too large to be sent.") == 8 - shown


def test_dreams_are_the_smaller_the_more_there_are():
    few, many = (pictures.dreams({n: {"0": [(1, noise(400))]} for n in range(count)}) for count in (1, 30))
    assert len(few[0]["0"][0][1]) > 3 * len(many[0]["0"][0][1])
    assert sum(len(own["0"][0][1]) for own in many.values()) < 1_000_000


def test_seeds_are_together_by_the_place_of_a_class_where_orders_differ():
    one = Confusion(("cat", "dog", "bird"), (2, 1), np.array([[3, 0, 1], [0, 4, 0], [0, 0, 4]]))
    other = Confusion(("bird", "cat", "dog"), (2, 1), np.array([[1, 0, 3], [0, 2, 2], [0, 0, 4]]))
    both, same = together_of([one, other]), together_of([one, one])
    assert both.classes == ("1.1", "1.2", "2.1") and both.tasks == (2, 1)
    assert both.counts.tolist() == [[4, 0, 4], [0, 6, 2], [0, 0, 8]]
    assert same.classes == one.classes and same.counts.tolist() == (2 * one.counts).tolist()


def test_of_a_large_sweep_the_first_seed_alone_is_read(monkeypatch):
    monkeypatch.setattr(methods_of, "MOST", 2)
    jobs = [replace(job("abd", seed), dreams=lambda: [(1, noise(8))]) for seed in range(3)]
    (shown,) = methods(jobs)
    assert [part.of for part in shown.matrices] == ["mean of 3 seeds"] and choices(jobs) == {}
    assert [(part.of, part.choices) for part in shown.dreams] == [("seed 0", "all 0")] and not shown.notes
