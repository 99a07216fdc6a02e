"""The badges of the README, made of pyproject.toml: `python -m tests.support.badges` writes docs/images/badges.svg.

They are a file and not a service's pictures: nobody who reads the page is told to a third party, and a test keeps them
true.
"""

import tomllib

from tests.support.paths import ROOT

FILE = ROOT / "docs" / "images" / "badges.svg"
_HEIGHT, _CHARACTER, _MARGIN, _GAP = 20, 6.1, 7, 6  # pixels


def badges() -> dict[str, str]:
    """What each says: its name, and what is so."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = told["project"]
    (system,) = (line.rpartition(" ")[2] for line in project["classifiers"] if line.startswith("Operating System"))
    assert told["tool"]["mypy"]["strict"] and told["tool"]["setuptools"]["package-data"]["*"] == ["py.typed"]
    return {
        "version": project["version"],
        "Python": f"{project['requires-python'].removeprefix('>=')} or newer",
        "licence": project["license"],
        "typed": "mypy --strict",
        "system": system,
    }


def told() -> str:
    """The same in words, for who does not see the picture."""
    return "; ".join(f"{name}: {value}" for name, value in badges().items())


def svg() -> str:
    """The picture."""
    parts, left = [], 0.0
    for name, value in badges().items():
        for text, colour in ((name, "#444c56"), (value, "#0b5cad")):
            width = round(len(text) * _CHARACTER + 2 * _MARGIN, 1)
            parts += [
                f'<rect x="{left:g}" width="{width:g}" height="{_HEIGHT}" fill="{colour}"/>',
                f'<text x="{left + width / 2:g}" y="14" textLength="{len(text) * _CHARACTER:g}">{text}</text>',
            ]
            left = round(left + width, 1)
        left += _GAP
    width = round(left - _GAP, 1)
    font = 'font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" fill="#fff" text-anchor="middle"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{_HEIGHT}" role="img">\n'
        f"<title>{told()}</title>\n<g {font}>\n" + "\n".join(parts) + "\n</g>\n</svg>\n"
    )


if __name__ == "__main__":
    FILE.write_text(svg())
