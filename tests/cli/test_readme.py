"""The first page: its picture is light, and `make` does what it says of it."""

import re
import subprocess

from tests.support.paths import ROOT
from tests.support.tools import need
from tests.support.typed import parse

README = (ROOT / "README.md").read_text()


def test_it_begins_with_two_sentences_and_a_light_picture_that_says_what_it_is():
    title, sentences, picture, *_ = README.split("\n\n")
    assert title == "# dfcil-sweep" and len(re.findall(r"\.(?= |$)", sentences)) == 2
    about, file = re.fullmatch(r"!\[(.{20,})\]\((.*)\)", picture).groups()
    assert "accuracy" in about and (ROOT / file).stat().st_size < 200_000


def made(*arguments):
    """What `make` would run."""
    need("make")
    done = subprocess.run(["make", "--always-make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demo_ends_with_what_to_try_next():
    told = made("demo")
    assert "source .venv/bin/activate" in told.partition("Next:")[2]
    tried = re.findall(r"'(dfcil-sweep [^']*)'", told.partition("Next:")[2])
    assert len(tried) == 3
    for typed in tried:
        parse(typed)
        assert typed in README


def test_torch_is_taken_from_where_one_says():
    index = "install --quiet torch torchvision --index-url https://download.pytorch.org/whl/cpu"
    assert index in made("demo", "TORCH=cpu") and "--index-url" not in made("demo")
    assert "`make demo TORCH=cpu`" in README
