"""The store: one folder a finished stage, addressed by the stage's identity. The only truth about what is done.

    runs/stages/<readable>-<hash16>/     stage.json, record.json, and the files that the stage wrote; freed.json names
                                         those that were removed since, because nothing needed them
    runs/stages/.work-<hash16>-<token>/  a stage being written; <token> is that of its writer's lease
    runs/stages/.saves-<hash16>/         saves within a stage, until it is finished
    runs/stages/.lease-<hash16>.json     who is at work on a stage
    runs/stages/.damaged-<folder>-<n>/   a finished stage that no longer is what its record says
    runs/stages/.replaced-<folder>-<n>/  a finished stage that came out otherwise when it was computed again on purpose
    runs/logs/<readable>-<hash16>.log    what a stage printed

A stage appears under its name whole or not at all: it is written aside, forced to the disk, and renamed.
"""

import errno
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.files import Unreadable, listing, sync_to_disk, there, write_json, write_text
from orchestrator.garbage import no_garbage
from orchestrator.plan.stage import Stage
from orchestrator.store import record as record_file
from orchestrator.store.lease import LEASE_TIMEOUT, Lease, LeaseLost, Leases
from orchestrator.store.stage_folder import FREED, RECORD, STAGE, DamagedStage, check, digest_of, freed_of, read_record

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


class Store:
    """The stages under a runs folder. Making one writes nothing.

    All that reads raises Unreadable for what is there and cannot be read: that is no damage, and nothing is put aside.
    """

    def __init__(self, runs: Path, lease_timeout: float = LEASE_TIMEOUT) -> None:
        self.runs = Path(runs).absolute()
        self.stages = self.runs / "stages"
        self.logs = self.runs / "logs"
        self.leases = Leases(self.stages, lease_timeout)

    # ---- reading -----------------------------------------------------------------------------------------------------

    def folder(self, stage: Stage) -> Path:
        """Where a stage lies once it is finished."""
        return self.stages / stage.folder

    def log(self, stage: Stage) -> Path:
        """What the stage printed, over all attempts."""
        return self.logs / f"{stage.folder}.log"

    def has(self, stage: Stage) -> bool:
        """Whether a stage is finished."""
        return _is_folder(self.folder(stage))

    def whole(self, stage: Stage) -> bool:
        """Whether a stage is finished with all its files: not freed of any."""
        folder = self.folder(stage)
        return _is_folder(folder) and not there(folder / FREED)

    def names(self) -> set[str]:
        """The names of all that lies in the store. One listing."""
        return set(listing(self.stages))

    def finished(self, stages: Iterable[Stage]) -> set[str]:
        """The keys of those of `stages` that are finished. One listing of the store."""
        present = self.names()
        return {stage.key for stage in stages if stage.folder in present}

    def record(self, stage: Stage) -> dict[str, Any] | None:
        """The record of a stage; None while it is not finished. Raises DamagedStage for one that is none."""
        folder = self.folder(stage)
        return read_record(folder, stage.key, stage.recipe) if _is_folder(folder) else None

    def records(
        self, stages: Iterable[Stage], on_damaged: Callable[[Stage, str], None] | None = None
    ) -> dict[str, dict[str, Any]]:
        """The records of those of `stages` that are finished, by key. One listing of the store.

        A damaged record is given to `on_damaged` with the reason; without it DamagedStage is raised.
        """
        present, place = self.names(), str(self.stages)
        found = {}
        with no_garbage():
            for stage in stages:
                name = stage.folder
                if name not in present:
                    continue
                try:
                    found[stage.key] = read_record(f"{place}/{name}", stage.key, stage.recipe)
                except DamagedStage as damage:
                    if on_damaged is None:
                        raise
                    on_damaged(stage, damage.reason)
        return found

    # ---- writing -----------------------------------------------------------------------------------------------------

    def work(self, stage: Stage, lease: Lease) -> Path:
        """An empty folder for the holder of a lease to write the stage in."""
        if lease.previous is not None:
            shutil.rmtree(self._work(stage.key, lease.previous), ignore_errors=True)
        work = self._work(stage.key, lease.token)
        work.mkdir()
        return work

    def saves(self, stage: Stage) -> Path:
        """The folder for saves within a stage, made if need be."""
        saves = self.stages / f".saves-{stage.key[:16]}"
        saves.mkdir(exist_ok=True)
        return saves

    def commit(
        self,
        stage: Stage,
        work: Path,
        record: Mapping[str, Any],
        lease: Lease | None = None,
        freed: Mapping[str, Any] | None = None,
        recomputed: bool = False,
    ) -> bool:
        """Make `work` the finished stage. False: another writer's was there first, and ours is thrown away.

        A stage that was freed gets its files back, and keeps its record. Where they are not as they were recorded the
        old folder is put aside, and the new record names it as `replaces`. So does one that was `recomputed` on
        purpose, whole or freed, whose result is not the same to the last bit. `freed`: files with SHA-256 and size that
        the stage was freed of elsewhere.

        The record is completed with the stage's names and the SHA-256 and size in bytes of every file. Raises LeaseLost
        if `lease` is not ours any more, ValueError for a record with NaN or infinities (JSON has none).
        """
        if lease is not None and not lease.held():
            raise LeaseLost(f"the lease on {stage.folder} was taken over")
        files = {path.relative_to(work).as_posix(): _settle(path) for path in sorted(work.rglob("*")) if path.is_file()}
        recipe = stage.recipe
        names = {"key": stage.key, "kind": recipe.kind, "task": recipe.task, "folder": stage.folder}
        write_json(work / STAGE, recipe.to_json(), indent=1, end="\n")
        whole = {**record, **names, "files": {**files, **(freed or {})}}
        write_text(work / RECORD, record_file.dumps(whole, recipe))
        if freed:
            write_json(work / FREED, sorted(freed), end="\n")
        for folder in (*(path for path in work.rglob("*") if path.is_dir()), work):
            sync_to_disk(folder)
        with self.leases.lock():
            if lease is not None:
                lease.require()
            first = _rename_to_new(work, self.folder(stage))
            if not first:
                first = self._recomputed(stage, work, whole) if recomputed else self._make_whole(stage, work, whole)
        if first:
            sync_to_disk(self.stages)
        else:
            shutil.rmtree(work)
        shutil.rmtree(self.stages / f".saves-{stage.key[:16]}", ignore_errors=True)
        return first

    def set_aside(self, stage: Stage) -> Path | None:
        """Take a damaged stage out of the store; where it went. None: it is sound, or no longer there."""
        with self.leases.lock():
            # Looked at again under the lock: another launcher may have set it aside, and done it anew, since.
            folder = self.folder(stage)
            if not _is_folder(folder):
                return None
            try:
                check(folder, stage.key)
                return None
            except DamagedStage:
                return self._put_aside(folder)

    def put_aside(self, folder: Path) -> Path:
        """Take a stage's folder out of the store, whatever is in it; where it went."""
        with self.leases.lock():
            return self._put_aside(folder)

    def _put_aside(self, folder: Path, why: str = "damaged") -> Path:
        number = 1
        while not _rename_to_new(folder, aside := self.stages / f".{why}-{folder.name}-{number}"):
            number += 1
        return aside

    # ---- freeing -----------------------------------------------------------------------------------------------------

    def free(self, stage: Stage, choose: Callable[[Iterable[str]], list[str]]) -> int:
        """Remove those files of a finished stage that `choose` picks from their names; how many bytes that gave back.

        Its record stays. 0: there is nothing to remove, or the stage is not there, or was freed before.
        """
        folder = self.folder(stage)
        with self.leases.lock():
            if not self.whole(stage):
                return 0
            files = read_record(folder, stage.key)["files"]
            names = choose(files)
            if not names:
                return 0
            # Named before they go: whatever happens in between, nobody takes the stage for a damaged one.
            write_json(folder / FREED, names, end="\n")
            for name in names:
                (folder / name).unlink(missing_ok=True)
        return sum(files[name]["bytes"] for name in names)

    def _make_whole(self, stage: Stage, work: Path, record: dict[str, Any]) -> bool:
        """Give a freed stage its files back from a folder in which it was computed again. False: it is whole."""
        folder = self.folder(stage)
        missing = freed_of(folder)
        if not missing:
            return False
        before, now = read_record(folder, stage.key)["files"], record["files"]
        if all(now.get(name) == before.get(name) for name in missing):
            for name in missing:
                (work / name).rename(folder / name)
            sync_to_disk(folder)
            (folder / FREED).unlink()
            shutil.rmtree(work)
        else:
            self._replace(stage, work, record, "damaged")
        return True

    def _recomputed(self, stage: Stage, work: Path, record: dict[str, Any]) -> bool:
        """Compare a finished stage with what it has been computed to again, which takes its place where it differs."""
        folder = self.folder(stage)
        if not record_file.same_result(read_record(folder, stage.key), record):
            self._replace(stage, work, record, "replaced")
        elif not self._make_whole(stage, work, record):
            shutil.rmtree(work)
        return True

    def _replace(self, stage: Stage, work: Path, record: dict[str, Any], why: str) -> None:
        folder = self.folder(stage)
        # Whatever happens between the two renames: the old result lies aside, and the stage is one to be done.
        aside = self._put_aside(folder, why)
        write_text(work / RECORD, record_file.dumps({**record, "replaces": aside.name}, stage.recipe))
        work.rename(folder)

    # ---- keeping clean -----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the folders, and remove what dead writers left behind."""
        for folder in (self.stages, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        names = self.names()
        finished = {name[-16:]: name for name in names if not name.startswith(".")}
        for name in names:
            sort, _, rest = name.partition("-")
            if sort == ".work":
                key, dash, token = rest.partition("-")
                if dash:  # else it is nothing of ours
                    self._remove_abandoned(name, key, token)
            elif sort == ".lease" and rest.removesuffix(".json") in finished:
                self._remove_needless(name, rest.removesuffix(".json"))
            elif sort == ".saves" and rest in finished and not (self.stages / finished[rest] / FREED).exists():
                # Else it is a freed stage that was being computed again, and goes on from its saves.
                self._remove_needless(name, rest)
            elif sort == "..lease":
                with self.leases.lock():  # under which leases are written: this draft's writer was killed
                    (self.stages / name).unlink(missing_ok=True)

    def _remove_abandoned(self, name: str, key: str, token: str) -> None:
        # The lease is written before its work folder is made. So a folder that was listed, and whose lease is not there
        # now, has no writer any more. A writer on another machine is left alone here: whoever takes over its stage
        # removes its folder.
        holder = self.leases.read(key)
        if holder is None or holder.token != token or holder.dead():
            shutil.rmtree(self.stages / name, ignore_errors=True)

    def _remove_needless(self, name: str, key: str) -> None:
        """What a writer that died right after its commit left: the saves and the lease of a finished stage."""
        with self.leases.lock():
            holder = self.leases.read(key)
            if holder is not None and not holder.dead():
                return
            path = self.stages / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def _work(self, key: str, token: str) -> Path:
        return self.stages / f".work-{key[:16]}-{token}"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise Unreadable(path, error) from error


def _settle(path: Path) -> dict[str, Any]:
    """Force a file to the disk; its SHA-256 and size."""
    sync_to_disk(path)
    return digest_of(path)


def _rename_to_new(source: Path, target: Path) -> bool:
    """Rename a folder onto a name that is free. False: the name is taken, and nothing has changed."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True
