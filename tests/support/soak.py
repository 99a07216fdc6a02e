"""Random kills over a small sweep of digits: `python soak.py [--kills N] [--seed S] [--folder DIR]`.

The sweep is launched once undisturbed. Then it is launched into a fresh runs folder by a launcher that is not left in
peace: at random moments a worker is killed, or the launcher, or both, always by SIGKILL. A killed launcher is started
again until it ends by itself. When a sweep is finished and fewer than N processes were killed, another begins in a
fresh folder. Each must end with the very table of the undisturbed one, no process left, and no stage begun again after
it was finished.
"""

import argparse
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.store.stage_folder import check
from tests.support.launched import command, dfcil, environment
from tests.support.processes import session_members, wait_until

SPEC = """\
name: soak
dataset: {name: digits, image_size: 8}
methods: [base, lwf, abd, rehearsal]
tasks: [5]
seeds: [0]
training: {backbone: resnet8, epochs: 6, batch_size: 32}
dreaming: {steps: 40}
memory: 20
"""
_PAUSES = (0.5, 9.0)  # seconds between kills: from a cluster that is just coming up to several stages done
_GONE_SECONDS = 10.0  # in which the workers of a killed launcher must be gone
_HEADER = re.compile(r"^--- .*, attempt \d+, (\S+ \S+ \S+), process \d+ ---$", re.MULTILINE)


@dataclass
class Kills:
    """What was killed so far."""

    random: random.Random
    launchers: int = 0
    workers: int = 0
    launches: int = 0
    failed_launches: int = 0
    begun: list[str] = field(default_factory=list)

    @property
    def all(self) -> int:
        return self.launchers + self.workers


def launch_arguments(spec: Path, runs: Path) -> tuple:
    # Saves within a stage come often, so that a killed stage has something to go on from.
    return ("launch", spec, "--runs", runs, "--device", "cpu", "--jobs", 2, "--save-every", 0.5)


def undisturbed(folder: Path, spec: Path) -> Path:
    """Launch the sweep in peace; its runs folder."""
    answer = dfcil(*launch_arguments(spec, folder / "peace"), folder=folder)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder / "peace"


def disturbed(folder: Path, spec: Path, runs: Path, kills: Kills, most: int) -> None:
    """Launch the sweep until it is finished, killing at random moments while fewer than `most` were killed."""
    while True:
        kills.launches += 1
        arguments = command(*launch_arguments(spec, runs), "--retry-failed")
        said = folder / f"launch-{kills.launches}.txt"
        with said.open("w") as output:
            launcher = subprocess.Popen(
                arguments, cwd=folder, env=environment(), start_new_session=True, stdout=output, stderr=output
            )
        try:
            _disturb(launcher, kills, most)
            wait_until(lambda: session_members(launcher.pid) == [], _GONE_SECONDS, "orphans of a launch gone")  # noqa: B023
        finally:
            for pid in session_members(launcher.pid):
                os.kill(pid, signal.SIGKILL)
            launcher.wait()
        if launcher.returncode == 0:
            return
        # A worker killed twice over one stage costs the stage its attempts: that launch fails, and says so.
        assert launcher.returncode in (1, -signal.SIGKILL), said.read_text()
        assert "Traceback" not in said.read_text(), said.read_text()
        kills.failed_launches += launcher.returncode == 1


def _disturb(launcher: subprocess.Popen, kills: Kills, most: int) -> None:
    while launcher.poll() is None:
        if kills.all >= most:
            launcher.wait()
            return
        try:
            launcher.wait(kills.random.uniform(*_PAUSES))
            return
        except subprocess.TimeoutExpired:
            pass
        what = kills.random.choice(("worker", "worker", "launcher", "both"))
        if what != "launcher":
            workers = _workers(launcher.pid)
            if workers:
                kills.workers += _kill(kills.random.choice(workers))
        if what != "worker":
            kills.launchers += _kill(launcher.pid)
            launcher.wait()


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _workers(session: int) -> list[int]:
    found = []
    for pid in session_members(session):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if pid != session and b"spawn_main" in line:
            found.append(pid)
    return sorted(found)


def table(spec: Path, runs: Path) -> str:
    """The sweep's table, unrounded."""
    answer = dfcil("report", "soak", "--runs", runs, "--format", "csv", folder=spec.parent)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def numbers(runs: Path) -> dict[str, object]:
    """All that the stages computed: folder to right answers, curves, and the digests of their files."""
    found = {}
    for path in (runs / "stages").glob("[!.]*/record.json"):
        record = json.loads(path.read_text())
        check(path.parent, record["key"])
        # Of a file that was freed the record has the digest; how much a killed launcher had freed is no number.
        files = {name: told["sha256"] for name, told in record["files"].items() if name != "stage.json"}
        found[path.parent.name] = [record.get("evaluation"), record.get("curves"), files]
    return found


def require_once(runs: Path) -> Counter[str]:
    """Fail where a stage was begun again after it had been finished; how often each was begun."""
    begun = Counter()
    for path in (runs / "stages").glob("[!.]*/record.json"):
        ended = json.loads(path.read_text())["ended"]
        starts = _HEADER.findall((runs / "logs" / f"{path.parent.name}.log").read_text())
        begun[path.parent.name] = len(starts)
        last = time.mktime(time.strptime(starts[-1].rpartition(" ")[0], "%Y-%m-%d %H:%M:%S"))
        assert last <= ended, f"{path.parent.name} was begun again after it was finished"
    return begun


def require_tidy(runs: Path) -> None:
    """Fail where something of a dead writer is left, beside the log and the lock."""
    left = [path.name for path in (runs / "stages").iterdir() if path.name.startswith((".work", ".lease", ".damaged"))]
    assert left == [], left


def require_tracked(runs: Path) -> None:
    """Fail unless MLflow has each job once, FINISHED."""
    with sqlite3.connect(f"file:{runs / 'mlflow.db'}?mode=ro", uri=True) as database:
        query = "select r.name, r.status, count(*) from runs r where r.lifecycle_stage = 'active' group by 1, 2"
        found = {(name, status): count for name, status, count in database.execute(query)}
    jobs = json.loads((runs / "sweeps" / "soak" / "jobs.json").read_text())
    assert {status for _, status in found} == {"FINISHED"}, found
    assert set(found.values()) == {1} and len(found) == len(jobs) + 1, found


def soak(folder: Path, most: int, seed: int, text: str = SPEC) -> Kills:
    """The whole of it; what was killed. Raises AssertionError where something is not as it should be."""
    spec, kills = folder / "soak.yaml", Kills(random.Random(seed))
    spec.write_text(text)
    peace = undisturbed(folder, spec)
    wanted, right = table(spec, peace), numbers(peace)
    round_ = 0
    while kills.all < most:
        round_ += 1
        runs, before = folder / f"war-{round_}", kills.all
        disturbed(folder, spec, runs, kills, most)
        assert table(spec, runs) == wanted, "the table differs"
        assert numbers(runs) == right, "a stage's numbers or files differ"
        begun = require_once(runs)
        # Each kill of a launcher interrupts at most both stages at work, and so a restart of each.
        assert sum(begun.values()) <= len(begun) + 2 * (kills.all - before)
        require_tidy(runs)
        require_tracked(runs)
        again = sum(begun.values()) - len(begun)
        told = f"{kills.all - before} kills, {len(begun)} stages, {again} begun again, same table"
        print(f"sweep {round_}: {told}", flush=True)
    return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    told = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as made:
        folder = told.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        kills = soak(folder, told.kills, told.seed)
    minutes = (time.monotonic() - start) / 60
    print(
        f"{kills.all} kills ({kills.workers} of workers, {kills.launchers} of launchers), {kills.launches} launches, "
        f"{kills.failed_launches} of which gave a stage up; tables equal to the last digit; {minutes:.1f} minutes"
    )


if __name__ == "__main__":
    sys.exit(main())
