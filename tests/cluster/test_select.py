"""`--cluster`, `--scheduler` and their company: what goes together, and what is refused before anything is written."""

import pytest

from orchestrator.cluster.profile import Profile
from orchestrator.cluster.select import Scheduler, chosen, scheduler
from orchestrator.engine.worker_monitor import WorkerMonitor
from orchestrator.errors import UserError
from tests.support.launched import SPEC, dfcil

NOTHING = dict.fromkeys(("cluster", "profile", "scheduler", "tls_ca", "tls_cert", "tls_key"))


@pytest.fixture
def pem(tmp_path):
    path = tmp_path / "some.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\n")
    return str(path)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("host:8786", "'host:8786' is no address of a Dask scheduler. Give tls://HOST:PORT"),
        ("tls://host", "is no address"),
        ("tls://host:0", "is no address"),
        ("tls://host:65536", "is no address"),
        ("ucx://host:1", "is no address"),
        ("tcp://host:8786", "not encrypted and not on this machine"),
        ("tcp://10.0.0.1:8786", "not encrypted and not on this machine"),
        ("tcp://[::]:8786", "not encrypted and not on this machine"),
        ("tls://host:8786", "needs --tls-ca FILE too; docs/cluster.md"),
    ],
)
def test_an_address_that_will_not_do(address, told):
    with pytest.raises(UserError) as refused:
        scheduler(address, None, None, None)
    assert told in str(refused.value)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786"])
def test_this_machine_needs_no_certificates_and_takes_none(address, pem):
    assert scheduler(address, None, None, None) == Scheduler(address)
    with pytest.raises(UserError, match="--tls-cert: has no use with tcp://"):
        scheduler(address, None, pem, None)


def test_certificates_are_looked_at(tmp_path, pem):
    given = scheduler("tls://host:8786", pem, pem, pem)
    assert given.encrypted and str(given.key) == pem
    (tmp_path / "other").write_text("hello")
    with pytest.raises(UserError, match="--tls-key: .*other is no PEM file"):
        scheduler("tls://host:8786", pem, pem, str(tmp_path / "other"))
    with pytest.raises(UserError, match="--tls-cert: .*nowhere cannot be read: No such file"):
        scheduler("tls://host:8786", pem, str(tmp_path / "nowhere"), pem)


@pytest.mark.parametrize(
    ("given", "device", "jobs", "told"),
    [
        ({"cluster": "slurm", "scheduler": "tls://h:1"}, "cpu", 1, "give one of them"),
        ({"cluster": "slurm"}, "cpu", 1, "--cluster slurm needs --profile FILE"),
        ({"profile": "p.yaml"}, "cpu", 1, "is of no use without --cluster slurm|pbs|sge|lsf|htcondor"),
        ({"tls_key": "k.pem"}, "cpu", 1, "--tls-key: is of no use without --scheduler"),
        ({"cluster": "slurm", "profile": "p.yaml", "tls_ca": "c"}, "cpu", 1, "--tls-ca: is of no use without"),
        ({"cluster": "slurm", "profile": "p.yaml"}, "auto", 1, "say --device cpu or --device cuda"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "cpu", None, "say with --jobs N"),
    ],
)
def test_options_that_do_not_go_together(given, device, jobs, told):
    with pytest.raises(UserError) as refused:
        chosen({**NOTHING, **given}, device, jobs)
    assert told in str(refused.value)


def test_what_is_chosen(tmp_path):
    (tmp_path / "p.yaml").write_text('walltime: "01:00:00"\ncores: 1\nmemory: 1GB\n')
    assert chosen(NOTHING, "auto", None) is None
    assert isinstance(chosen({**NOTHING, "cluster": "pbs", "profile": tmp_path / "p.yaml"}, "cuda", 4), Profile)
    assert chosen({**NOTHING, "scheduler": "tcp://127.0.0.1:1"}, "cpu", 4) == Scheduler("tcp://127.0.0.1:1")


def test_the_command_refuses_before_it_writes(tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC)
    told = ["launch", "spec.yaml", "--runs", "runs", "--scheduler", "tcp://10.0.0.1:8786", "--device", "cpu"]
    answer = dfcil(*told, "--jobs", 2, folder=tmp_path)
    assert answer.returncode == 2 and "whoever reaches that port can run programs as you" in answer.stderr
    assert not (tmp_path / "runs").exists()


class _Client:
    def __init__(self):
        self.workers = []

    def nthreads(self):
        return dict.fromkeys(self.workers, 1)


def test_who_is_missed_once_may_have_a_message_on_its_way(monkeypatch):
    client = _Client()
    monitor = WorkerMonitor(client.nthreads, queued=False)
    client.workers = ["a", "b"]
    assert monitor.check(set()) == ({"a", "b"}, set())
    client.workers = ["a"]
    assert monitor.check({"a", "b"}) == ({"a"}, set())
    assert monitor.check({"a", "b"}) == ({"a"}, {"b"})


def test_a_queue_is_waited_for_and_this_machine_is_not(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("orchestrator.engine.worker_monitor.time.monotonic", lambda: now[0])
    here, queued = WorkerMonitor(_Client().nthreads, queued=False), WorkerMonitor(_Client().nthreads, queued=True)
    now[0] = 29.0
    here.check(set()), queued.check(set())
    assert queued.awaited() is None
    now[0] = 86400.0
    queued.check(set())
    assert queued.awaited() == 86400.0 and queued.awaited() is None
    with pytest.raises(RuntimeError, match="no worker process has come up for 300 seconds"):
        here.check(set())
