"""Specs that are made to take all time or memory, by a slip of the pen or on purpose: a message, and soon."""

import os
import random
import resource
import string
import threading
import time

import pytest
from ruamel.yaml import YAML

from orchestrator.errors import SpecError, UserError
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import load_spec, parse_spec

SOUND = "name: s\nmethods: [base]\ntasks: [5]\n"
SECONDS, MEMORY = 2.0, 200 * 2**20
PLAIN = f"[{', '.join(f'{{seed: {n}}}' for n in range(10000))}]"


def soon(seconds):
    """At most two seconds of the processor; on a slow or busy machine, a few times what its YAML library takes."""
    if seconds < SECONDS:
        return True
    began = time.process_time()
    YAML().compose(PLAIN)
    return seconds < 4 * (time.process_time() - began)


def refused(text, overrides=()):
    """The message, within the time and the memory."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError) as caught:
        parse_spec(text, "s.yaml", overrides)
    assert soon(time.process_time() - began)
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < MEMORY
    assert len(str(caught.value)) < 100_000
    return str(caught.value)


def bomb(levels, each, item="1"):
    lines = [f"a0: &a0 [{', '.join([item] * each)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * each)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def merges(levels, each):
    lines = ["m0: &m0 {k0: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * each)}], k{n}: 1}}" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("levels", [7, 30, 90])
def test_aliases_of_aliases(levels):
    assert "more than 40000 keys and values, with every alias written out" in refused(SOUND + bomb(levels, 10))
    assert "more than 40000" in refused(SOUND, [f"training=[{', '.join(['1'] * 50000)}]"])


@pytest.mark.parametrize("levels", [7, 30, 90])
def test_merges_of_merges_say_a_key_once(levels):
    text = refused(SOUND + merges(levels, 10))
    assert "unknown key 'm0'" in text or "more than 40000" in text


def test_an_anchor_given_twice_is_no_news(recwarn):
    read = parse_spec("name: &a s\nmethods: &a [base]\ntasks: &a [5]\nseeds: [0]\n", "s.yaml")
    assert read.name == "s" and not recwarn.list


def test_aliases_that_make_it_deep():
    chain = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} {'[' * 50}*a{n - 1}{']' * 50}\n" for n in range(1, 40))
    assert "nested too deeply" in refused(SOUND + chain)
    assert "nested too deeply" in refused(f"{SOUND}x: {'[' * 101}{']' * 101}\n")
    assert "unknown key 'x'" in refused(f"{SOUND}x: {'[' * 90}{']' * 90}\n")
    assert "nested too deeply" in refused(SOUND, ["a." * 5000 + "b=1"])
    assert "alias contains itself" in refused(f"{SOUND}x: &x {{<<: *x}}\n")
    assert "alias contains itself" in refused(f"{SOUND}x: &x {{? *x : 1}}\n")


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"key{n}: 1\n" for n in range(5000)),
        f"training: {{{', '.join(f'key{n}: 1' for n in range(5000))}}}\n",
        f"exclude: [{', '.join(f'{{method: m{n}}}' for n in range(5000))}]\n",
        f"exclude: [{', '.join(f'{{key{n}: 1}}' for n in range(5000))}]\n",
        f"tune: {{method: base, space: {{{', '.join(f'key{n}: 1' for n in range(5000))}}}}}\n",
        f"seeds: [{', '.join(['x'] * 20000)}]\n",
        f"dataset: {{name: folder, classes: [{', '.join(['a/b'] * 5000)}]}}\n",
    ],
    ids=["top", "training", "methods", "settings", "space", "seeds", "classes"],
)
def test_thousands_of_mistakes(text):
    told = refused(SOUND + text)
    assert " more" in told.splitlines()[-1] and len(told.splitlines()) <= 102


def test_thousands_of_methods_with_mistakes():
    entries = ", ".join(f"{{name: base, label: l{n}, x{n}: 1}}" for n in range(3000))
    assert "1000 mistakes" in refused(SOUND.replace("[base]", f"[{entries}]"))
    labels = ", ".join(f"{{name: base, label: l{n}}}" for n in range(3000))
    exclusions = ", ".join(f"{{method: x{n}}}" for n in range(3000))
    assert "1000 mistakes" in refused(SOUND.replace("[base]", f"[{labels}]") + f"exclude: [{exclusions}]\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "dataset: {name: synthetic, classes: 1000000000000}\n",
            "is too large. It must be at most 100000",
        ),
        ("dataset: {name: synthetic, train_per_class: 1000000000000}\n", "It must be at most 1000000"),
        ("dataset: {name: synthetic, image_size: 1000000000000}\n", "It must be at most 4096"),
        ("repeats: 1000000000000\n", "It must be at most 10000"),
        ("dataset: {name: synthetic, classes: 100000}\nrepeats: 10000\n", "too large a sweep"),
        (f"seeds: [{', '.join(map(str, range(30000)))}]\ndataset: {{name: synthetic, classes: 50000}}\n", "too large"),
        ("repeats: 10000\nexclude: [" + ", ".join(f"{{seed: {n}}}" for n in range(10000)) + "]\n", "are too many"),
    ],
)
def test_sizes_that_no_machine_has(text, message):
    assert message in refused(SOUND + text)


def test_a_sweep_of_too_many_stages_says_how_many():
    text = "name: s\ndataset: {name: synthetic, classes: 100}\nmethods: [abd]\ntasks: [100]\nrepeats: 10000\n"
    told = refused(text)
    assert "seeds: 10000 jobs with about 1990000 stages are too large a sweep: at most 1000000 stages" in told
    assert len(parse_spec(text.replace("10000", "1000"), "s.yaml").seeds) == 1000


NUMBERS = ["1e-320", "1e-300", "1e25", "10000000000000000000000000", ".nan", ".inf", "-.inf", "1e400", "-0.0"]
NUMBERS += ["!!float 1e-320", "!!int 1e3", "!!float x", "!!foo 1", "!!bool 3", "!!null 3", f"!!int '{'9' * 5000}'"]


@pytest.mark.parametrize("number", [*NUMBERS, "0x" + "f" * 5000])
@pytest.mark.parametrize("place", ["step", "low", "high", "low: 0.1, high", "choices: [0.1, ", "log"])
@pytest.mark.parametrize("sampler", ["grid", "tpe"])
def test_odd_numbers_in_a_search(number, place, sampler):
    known = {"low": "0.0001", "high": "1", "step": "0.0001"}
    given = {key: value for key, value in known.items() if f"{key}:" not in f"{place}:"}
    space = ", ".join(f"{key}: {value}" for key, value in given.items())
    space = f"{place}{number}]" if "[" in place else f"{space}, {place}: {number}"
    tune = f"tune: {{method: base, sampler: {sampler}, space: {{training.lr: {{{space}}}}}}}\n"
    began = time.process_time()
    try:
        parse_spec(SOUND + tune, "s.yaml")
    except SpecError as error:
        assert len(str(error)) < 5000
    assert soon(time.process_time() - began)


def test_a_grid_of_too_many_points():
    space = "training.lr: {low: 0.0001, high: 1, step: 0.0001}, training.momentum: {low: 0, high: 0.99, step: 0.0001}"
    assert "points is too large" in refused(f"{SOUND}tune: {{method: base, sampler: grid, space: {{{space}}}}}\n")


# ---- what is no file -------------------------------------------------------------------------------------------------


def unread(path):
    began = time.process_time()
    with pytest.raises(UserError) as caught:
        load_spec(path)
    assert soon(time.process_time() - began) and len(str(caught.value)) < 2000
    return str(caught.value)


def test_devices_pipes_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", "/dev/null", tmp_path / "pipe", tmp_path):
        assert str(path) in unread(path)


@pytest.mark.long
def test_a_pipe_with_a_writer_is_no_file_either(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: os.close(os.open(tmp_path / "pipe", os.O_WRONLY)), daemon=True)
    writer.start()
    assert "a pipe" in unread(tmp_path / "pipe")
    writer.join(10)


def test_names_that_no_file_has(tmp_path):
    for name in ("x" * 5000, "x/" * 5000, "\0", "a\0b", "~nobody-of-that-name/x", "\ud800"):
        unread(name)


def test_a_large_file_is_not_read(tmp_path):
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(2**33)
    assert "larger than 1 MiB" in unread(tmp_path / "large.yaml")
    (tmp_path / "full.yaml").write_text("# " + "x" * 2**20)
    assert "larger than 1 MiB" in unread(tmp_path / "full.yaml")
    (tmp_path / "comment.yaml").write_text("# " + "x" * (2**20 - 100) + "\n" + SOUND)
    assert load_spec(tmp_path / "comment.yaml").name == "s"


# ---- random specs ----------------------------------------------------------------------------------------------------

_WORDS = """name dataset methods tasks seeds repeats training dreaming memory quirks exclude tune base abd lwf r-dfcil
digits synthetic folder label lr epochs milestones method space low high step log choices objective sampler grid
confirm first then root classes image_size holdout x"""
_SCALARS = """0 1 -1 2 10 0.5 1e-3 1e-320 1e400 .nan .inf 10000000000000000000000000 true null ~ '' 'a' 0x1f 0o7 1_0
999999999999999999999999999999999999 << ? | > --- ... { } [ ] : , # @ ` % &a *a ! !foo 5 5 5 1 1 base abd"""
WORDS, SCALARS = _WORDS.split(), _SCALARS.split()
SCALARS += [*WORDS, "!!int 5", "!!float 5", "!!str 5", "!foo 5", "!!null x", "&a 5", "? ", "%YAML 1.1", "\t", "\u202e"]
SCALARS += ['"\\0"', '"\\e[2J"', "é", "\ud7ff", "'a b'"]
GROUNDS = [
    SOUND + "seeds: [0, 1]\ntraining: {lr: 0.1, epochs: 3}\n",
    "name: s\ndataset: {name: synthetic, classes: 4, image_size: 8}\nmethods: [{name: abd, label: x, mu: 0.2}]\n"
    "tasks: [2, {first: 2, then: 1}]\nrepeats: 2\nexclude: [{method: x, seed: 1}]\n",
    "name: s\nmethods: [base]\ntasks: [5]\ntune: {method: base, sampler: grid, space: {training.lr: {low: 0.05, high: "
    "0.15, step: 0.05}}, confirm: {top: 1}}\n",
    "name: s\nmethods: [&a {name: base, label: b}, {<<: *a, label: c}]\ntasks: [5, 2]\nseeds: &b [1, 2]\n",
]


def mutated(chance):
    """A spec with a few changes, of words or of characters; or words alone."""
    text = chance.choice(GROUNDS)
    if chance.random() < 0.1:
        return " ".join(chance.choice(SCALARS) for _ in range(chance.randint(1, 12)))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(len(text))
        kind = chance.random()
        if kind < 0.45:
            words = text.replace(",", " , ").replace(":", " : ").replace("[", " [ ").replace("]", " ] ").split(" ")
            words[chance.randrange(len(words))] = chance.choice(SCALARS)
            text = " ".join(words)
        elif kind < 0.6:
            text = text[:at] + chance.choice(string.printable) + text[at + chance.randint(0, 1) :]
        elif kind < 0.75:
            text = text[:at] + text[at + chance.randint(1, 8) :]
        elif kind < 0.9:
            other = chance.choice(GROUNDS)
            start = chance.randrange(len(other))
            text = text[:at] + other[start : start + chance.randint(1, 30)] + text[at:]
        else:
            text = text[:at] + text[at : at + 20] * chance.randint(2, 5) + text[at + 20 :]
    return text


def read_many(count, seed):
    sound = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        text = mutated(random.Random(seed + number))
        began = time.process_time()
        try:
            read = parse_spec(text, "s.yaml")
            if len(read.seeds) * len(read.methods) * sum(map(len, read.splits)) < 100:
                make_plan(read)
            sound += 1
        except UserError as error:
            assert str(error)
        except Exception as error:
            raise AssertionError(f"spec {seed + number}: {text!r}") from error
        assert soon(time.process_time() - began), text
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < MEMORY
    return sound


def test_random_specs():
    assert read_many(1000, 0) > 0


# 20,000 of them take most of a minute.
@pytest.mark.long
def test_many_random_specs():
    assert read_many(20_000, 10_000) > 200
