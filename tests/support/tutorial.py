"""Do docs/tutorial.md in a folder, block by block: `python tutorial.py FOLDER`, with `dfcil-sweep` on the path.

Needs nothing of the repository but the page, so that it can be done with an installed wheel alone.
"""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
SPEC = "pictures.yaml"


def do(folder: Path) -> str:
    """Everything that was printed. Raises CalledProcessError where a block fails."""
    printed = []
    for language, text in re.findall(r"```(python|yaml|sh)\n(.*?)```", PAGE.read_text(), re.S):
        if language == "yaml":
            (folder / SPEC).write_text(text)
            continue
        command = [sys.executable, "-c", text] if language == "python" else ["bash", "-euc", text]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        printed.append(done.stdout)
    return "".join(printed)


if __name__ == "__main__":
    print(do(Path(sys.argv[1])))
