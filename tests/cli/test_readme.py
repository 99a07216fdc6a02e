"""The first page: its picture is light, and `make` does what it says of it."""

import re
import subprocess

from tests.support import badges
from tests.support.paths import ROOT
from tests.support.tools import need
from tests.support.typed import parse

README = (ROOT / "README.md").read_text()


def test_it_begins_with_two_sentences_and_a_light_picture_that_says_what_it_is():
    title, _, sentences, picture, *_ = README.split("\n\n")
    assert title == "# dfcil-sweep" and len(re.findall(r"\.(?= |$)", sentences)) == 2
    about, file = re.fullmatch(r"!\[(.{20,})\]\((.*)\)", picture).groups()
    assert "accuracy" in about and (ROOT / file).stat().st_size < 200_000


def test_its_badges_say_what_is_so():
    assert badges.FILE.read_text() == badges.svg(), "write them anew: python -m tests.support.badges"
    assert README.split("\n\n")[1] == f"![{badges.told()}](docs/images/badges.svg)"


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


def test_it_is_said_where_torchs_own_index_does_not_answer(tmp_path):
    """With a Python whose pip finds nothing: what is installed there is not our subject."""
    need("make")
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nmkdir -p "$3/bin" && printf "#!/bin/sh\ncase \\$* in *whl/cpu*) exit 1;; esac\n" >"$3/bin/pip"\n'
        'chmod +x "$3/bin/pip"\n'
    )
    python.chmod(0o755)
    ready = tmp_path / "venv" / ".ready"
    told = ["make", ready, f"VENV={ready.parent}", f"PYTHON={python}"]
    done = subprocess.run([*told, "TORCH=cpu"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and not ready.exists()
    assert "TORCH=cpu: no torch from https://download.pytorch.org/whl/cpu. Is it reached from here?" in done.stderr
    assert subprocess.run(told, cwd=ROOT, capture_output=True).returncode == 0 and ready.exists()
