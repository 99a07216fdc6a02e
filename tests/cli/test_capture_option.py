"""`--capture` on its way from the command line into the records."""

import pytest
from click.testing import CliRunner

import orchestrator
from orchestrator.cli import cli
from orchestrator.errors import UserError
from orchestrator.store import sweep_folder
from orchestrator.store.store import Store
from tests.support.launched import SPEC, dfcil


@pytest.mark.parametrize(("arguments", "told"), [((), "off"), (("--capture", "auto"), "auto")])
@pytest.mark.parametrize("command", ["launch", "tune"])
def test_the_commands_hand_it_on(command, arguments, told, monkeypatch):
    heard = {}

    def run(spec, **options):
        heard.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(f"orchestrator.{command}.{command}", run)
    CliRunner().invoke(cli, [command, "demo", *arguments])
    assert heard["capture"] == told


@pytest.mark.parametrize("function", [orchestrator.launch, orchestrator.tune])
def test_from_python_another_word_is_refused(function):
    with pytest.raises(UserError, match="capture: 'on' is no choice. Choices: auto, off"):
        function("demo", capture="on")


@pytest.mark.long  # a launch in processes of its own
def test_without_a_cuda_device_a_launch_says_so_and_so_do_records(tmp_path):
    spec = tmp_path / "tiny.yaml"
    spec.write_text(SPEC)
    done = dfcil("launch", spec, "--runs", "runs", "--device", "cpu", "--capture", "auto", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning: --capture auto: there is no CUDA device" in done.stdout + done.stderr
    assert "eager" not in done.stdout
    stages = sweep_folder.load(tmp_path / "runs", "tiny").stages.values()
    found = [record.get("capture") for record in Store(tmp_path / "runs").records(stages).values()]
    why = "eager: there is no CUDA device"
    assert sorted(map(str, found)) == sorted(map(str, [None, {"dream": why}, *[{"train": why}] * 4]))
