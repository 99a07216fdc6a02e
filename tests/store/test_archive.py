"""Carrying stages to another machine; archives that mean harm."""

import io
import json
import os
import tarfile

import pytest

from orchestrator.errors import UserError
from orchestrator.store import archive
from orchestrator.store.stage_folder import check
from orchestrator.store.store import Store
from tests.support.fabricated import finish, sweep
from tests.support.launched import dfcil


@pytest.fixture(scope="module")
def plan():
    return sweep(("abd",), seeds=(0,), splits=((5, 5),))


@pytest.fixture
def store(plan, tmp_path):
    return finish(plan, tmp_path / "here")


@pytest.fixture
def there(tmp_path):
    return Store(tmp_path / "there")


@pytest.fixture
def exported(plan, store, tmp_path):
    archive.export(store, plan.stages.values(), tmp_path / "a.tar")
    return tmp_path / "a.tar"


def everything_under(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def members(path):
    """(header, content) of each member."""
    with tarfile.open(path) as tar:
        return [(info, tar.extractfile(info).read()) for info in tar]


def rewrite(path, made, form=tarfile.USTAR_FORMAT):
    with tarfile.open(path, "w", format=form) as tar:
        for info, content in made:
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)


def info(name, content=b"", **changes):
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for attribute, value in changes.items():
        setattr(made, attribute, value)
    return made, content


def test_what_is_exported_is_imported_byte_by_byte(plan, store, there, exported):
    done = archive.load(there, exported)
    assert sorted(done.added) == sorted(stage.folder for stage in plan.stages.values())
    for stage in plan.stages.values():
        assert there.record(stage) == store.record(stage)
        check(there.folder(stage), stage.key)
        for path in store.folder(stage).iterdir():
            assert json.loads(path.read_text()) if path.suffix == ".json" else path.read_bytes()
    again = archive.load(there, exported)
    assert again.added == [] and sorted(again.present) == sorted(done.added)
    assert [path for path in there.stages.iterdir() if path.name.startswith((".work", ".lease", ".saves"))] == []


def test_an_export_overwrites_nothing_and_refuses_what_is_damaged(plan, store, exported, tmp_path):
    with pytest.raises(UserError, match="exists already"):
        archive.export(store, plan.stages.values(), exported)
    stage = next(iter(plan.stages.values()))
    (store.folder(stage) / "stage.json").write_text("{}")
    (store.folder(stage) / "record.json").write_text("{}")
    with pytest.raises(UserError, match="--set-aside"):
        archive.export(store, plan.stages.values(), tmp_path / "b.tar")
    assert not list(tmp_path.glob("*b.tar*"))


@pytest.mark.parametrize(
    "name",
    ["/tmp/escaped", "../escaped", "FOLDER/../../escaped", "FOLDER/a/b", "FOLDER//etc", "FOLDER/..", "FOLDER/",
     ".lock", "FOLDER/.hidden", "FOLDER\\..\\x", "FOLDER/a\nb", "stages/FOLDER/x"],
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False])
def test_no_name_leads_out_of_the_store(there, exported, tmp_path, name, first):
    made = members(exported)
    hostile = info(name.replace("FOLDER", made[0][0].name.partition("/")[0]), b"harm")
    rewrite(exported, [hostile, *made] if first else [*made[:2], hostile, *made[2:]])
    before = everything_under(tmp_path)
    with pytest.raises(UserError, match="byte"):
        archive.load(there, exported)
    new = everything_under(tmp_path) - before
    assert all(path.startswith("there") for path in new) and not any("escaped" in path for path in new)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
     tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, b"?"],
)  # fmt: skip
def test_only_plain_files_are_taken(there, exported, tmp_path, kind):
    made = members(exported)
    folder = made[0][0].name.partition("/")[0]
    target = tmp_path / "target"
    target.write_text("mine")
    hostile = info(f"{folder}/network.safetensors", type=kind, linkname=str(target))
    block = hostile[0].tobuf(tarfile.USTAR_FORMAT)
    exported.write_bytes(block + exported.read_bytes())
    with pytest.raises(UserError, match="not a plain file"):
        archive.load(there, exported)
    assert target.read_text() == "mine"
    assert [path.name for path in there.stages.iterdir() if path.name != ".lock"] == []


def altered(exported, change):
    """Change the record of the first stage that has a file of its own."""
    made = members(exported)
    position = next(n for n, (header, _) in enumerate(made) if header.name.endswith("dreams.png")) - 1
    record = json.loads(made[position][1])
    record.pop("sha256")  # an older record has none
    change(record)
    content = json.dumps(record).encode()
    made[position] = info(made[position][0].name, content)
    rewrite(exported, made)
    return record["folder"]


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["files"]["dreams.png"].update(sha256="0" * 64),
        lambda record: record["files"]["dreams.png"].update(bytes=5),
        lambda record: record["files"]["dreams.png"].update(bytes="5"),
        lambda record: record["files"].update({"../../x": {"sha256": "0" * 64, "bytes": 1}}),
        lambda record: record["files"].update({"more": {"sha256": "0" * 64, "bytes": 1}}),
        lambda record: record.update(files=[]),
        lambda record: record.update(key="0" * 64),
        lambda record: record.update(folder="../x"),
        lambda record: record.update(seconds="long"),
        lambda record: record.update(seconds=float("nan")),
        lambda record: record["provenance"].update(host="\x1b]0;owned\x07"),
        lambda record: record.update(curves={"loss": ["x"]}),
    ],
    ids=range(12),
)
def test_a_record_that_is_not_sound_is_refused_and_nothing_of_its_stage_stays(there, exported, change):
    folder = altered(exported, change)
    with pytest.raises(UserError, match="byte"):
        archive.load(there, exported)
    assert not any(folder[-16:] in path.name for path in there.stages.iterdir())


def test_a_file_whose_content_was_altered_is_refused(there, exported):
    made = members(exported)
    position = next(n for n, (header, _) in enumerate(made) if header.name.endswith("dreams.png"))
    made[position] = info(made[position][0].name, made[position][1][:-1] + b"!")
    rewrite(exported, made)
    with pytest.raises(UserError, match="SHA-256"):
        archive.load(there, exported)
    assert not any(path.name.startswith((".work", ".lease")) for path in there.stages.iterdir())


def test_a_recipe_that_is_not_that_of_its_folder_is_refused(there, exported):
    made = members(exported)
    recipe = json.loads(made[0][1])
    made[0] = info(made[0][0].name, json.dumps({**recipe, "seed": 7}).encode())
    rewrite(exported, made)
    with pytest.raises(UserError, match="not the recipe"):
        archive.load(there, exported)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff" * 9, b"{}", b'{"a": NaN}'])
def test_a_recipe_that_is_none_is_refused(there, exported, content):
    made = members(exported)
    made[0] = info(made[0][0].name, content)
    rewrite(exported, made)
    with pytest.raises(UserError, match="stage.json"):
        archive.load(there, exported)


def test_an_archive_that_is_too_large_or_says_so_is_refused(there, exported):
    with pytest.raises(UserError, match="above 100 bytes"):
        archive.load(there, exported, most_bytes=100)
    name = members(exported)[0][0].name
    for size in (1 << 32, 8 * 10**9):
        header = tarfile.TarInfo(name)
        header.size = size
        exported.write_bytes(header.tobuf(tarfile.USTAR_FORMAT))
        with pytest.raises(UserError, match="is of|bytes"):
            archive.load(there, exported)


def test_what_is_no_archive_or_cut_short_is_refused(there, exported, tmp_path):
    whole = exported.read_bytes()
    for cut in (0, 100, 512, 700, 5000, whole.rindex(b"ustar")):
        exported.write_bytes(whole[:cut])
        with pytest.raises(UserError, match="byte"):
            archive.load(there, exported)
    exported.write_bytes(os.urandom(5000))
    with pytest.raises(UserError, match="no tar header"):
        archive.load(there, exported)
    with pytest.raises(UserError, match="No such file"):
        archive.load(there, tmp_path / "none.tar")
    exported.write_bytes(whole)
    assert archive.load(there, exported).added, "what was sound before came in, and the rest comes now"


def test_a_stage_that_is_being_computed_here_is_left_alone(plan, there, exported):
    there.prepare()
    stage = list(plan.stages.values())[0]
    with there.leases.acquire(stage.key):
        assert archive.load(there, exported).held == [stage.folder]
    assert not there.has(stage)


@pytest.mark.parametrize("where", ["file", "file/runs", "/proc/x"])
def test_import_into_a_runs_folder_that_cannot_be_is_told_in_a_line(tmp_path, where):
    (tmp_path / "file").write_text("x")
    plan = sweep(("base",), seeds=(0,))
    finish(plan, tmp_path / "runs")
    archive.export(Store(tmp_path / "runs"), plan.stages.values(), tmp_path / "all.tar")
    done = dfcil("store", "--runs", tmp_path / where, "import", tmp_path / "all.tar", folder=tmp_path)
    assert done.returncode == 2 and "cannot be written to" in done.stderr and "--runs" in done.stderr
    assert "Traceback" not in done.stderr
