"""The `seeds:` section, or `repeats:`, which is short for the first so many seeds."""

from orchestrator.spec.reading import Reading
from orchestrator.spec.size import check_size
from orchestrator.spec.yaml_document import KeyPath, show

MOST_REPEATS = 10_000


def read_seeds(reading: Reading) -> tuple[int, ...]:
    """The seeds, 0 to 2 where neither key is given. With them the size of the sweep is known, and checked."""
    seeds = _seeds(reading)
    check_size(reading, seeds)
    return seeds


def _seeds(reading: Reading) -> tuple[int, ...]:
    document, data = reading.document, reading.document.data
    if "repeats" in data:
        if "seeds" in data:
            remedy = "Leave one out: repeats: 3 is seeds: [0, 1, 2]"
            document.add(("repeats",), "`seeds` and `repeats` are both given", data["repeats"], remedy, at_key=True)
        repeats = data["repeats"]
        if type(repeats) is not int:
            document.add(("repeats",), f"{show(repeats)} is not a whole number", repeats)
        elif not 1 <= repeats <= MOST_REPEATS:
            size, bound = ("small", "at least 1") if repeats < 1 else ("large", f"at most {MOST_REPEATS}")
            document.add(("repeats",), f"{repeats} is too {size}", repeats, f"It must be {bound}")
        elif "seeds" not in data:
            return tuple(range(repeats))
    given = data.get("seeds", [] if "repeats" in data else [0, 1, 2])
    if not isinstance(given, list) or not (given or "repeats" in data):
        message = "the sweep has no seeds" if given in (None, []) else f"{show(given)} is not a list"
        document.add(("seeds",), message, given, "Write them as [0, 1, 2]")
        return ()
    seen: dict[int, None] = {}
    for index, seed in enumerate(given):
        path: KeyPath = ("seeds", index)
        if type(seed) is not int:
            document.add(path, f"{show(seed)} is not a whole number", seed)
        elif seed < 0:
            document.add(path, f"{seed} is too small", seed, "It must be at least 0")
        elif seed in seen:
            document.add(path, f"{seed} is given twice", seed, "Equal seeds are the same work")
        else:
            seen[seed] = None
    return tuple(seen)
