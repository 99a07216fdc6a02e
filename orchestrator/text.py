"""Small things that several messages say alike."""

import re
import time

# What a terminal obeys, or shows as something else: C0 but newline and tab, DEL and C1, lone surrogates (bytes of a
# file's name that are no UTF-8), separators of lines and paragraphs, and what turns the direction of writing.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """`text` as a terminal may show it, whoever wrote it: control characters as escapes, such as `\\x1b`.

    Newlines and tabs stay. What holds nothing of the kind comes back as it is.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def counted(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """About how long: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def moment(unix: float) -> str:
    """A local time, and how long ago it was."""
    return f"{time.strftime('%F %T', time.localtime(unix))} ({duration(max(0.0, time.time() - unix))})"


def silence(seconds: float, remedy: str) -> str:
    """What follows the name of a process that has shown no sign of life for so long."""
    return f"; no sign of life for {duration(seconds)}: if it is gone, {remedy}"


def exact_duration(seconds: float) -> str:
    """How long, to the second: `12.3 s`, `3 min 20 s`, `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def readable(size: float) -> str:
    """Bytes for people: `512 B`, `1.5 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
