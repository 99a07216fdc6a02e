"""Tuning, from Python: what `dfcil-sweep tune` calls, and what `import orchestrator` offers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.engine.events import Event
from orchestrator.engine.options import CAPTURE
from orchestrator.errors import UserError, require_choice
from orchestrator.launch import positive, run_options, workers_elsewhere, writable_runs_folder
from orchestrator.notify import notifying, require_command
from orchestrator.preview import runs_folder
from orchestrator.signals import terminable
from orchestrator.spec.given import Spec, is_text, read_spec
from orchestrator.spec.model import SweepSpec

if TYPE_CHECKING:
    from orchestrator.tuning.session import TuneOutcome


def tune(
    spec: Spec,
    *,
    runs: str | Path | None = None,
    device: str = "auto",
    tracking_uri: str | None = None,
    trials: int | None = None,
    timeout: float | None = None,
    storage: str | None = None,
    jobs: int | None = None,
    per_gpu: int = 1,
    gpus: str | None = None,
    capture: str = "off",
    overrides: Sequence[str] = (),
    data_root: str | Path | None = None,
    plugin: str | Path | None = None,
    rehearse: bool = False,
    notify: str | None = None,
    cluster: str | None = None,
    profile: str | Path | None = None,
    scheduler: str | None = None,
    tls_ca: str | Path | None = None,
    tls_cert: str | Path | None = None,
    tls_key: str | Path | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    say: Callable[[str], None] = lambda text: None,
) -> "TuneOutcome":
    """Search better settings for a spec's method, as its `tune:` section says, and confirm the best on fresh seeds.

    The options are those of `dfcil-sweep tune`, with the same defaults; `timeout` is in minutes. `on_event` is called
    with what happens to stages, `say` with what happens to trials, line by line for people; both in this thread, but
    for warnings of MLflow. The same call again goes on where the tuner stopped; several at once share the trials, and
    one of them confirms.

    Raises UserError for a spec without `tune:` and for a wrong storage; KeyboardInterrupt as `launch` does.
    """
    from dfcil_core.data.catalog import IMAGE_FILES
    from orchestrator.spec.dataset import require_files
    from orchestrator.tuning.session import Session, TuningOptions

    require_command(notify)
    require_choice("capture", capture, CAPTURE)
    elsewhere = workers_elsewhere(device, jobs, cluster, profile, scheduler, tls_ca, tls_cert, tls_key)
    read, kind = _read(spec, device, trials, overrides, data_root, plugin, rehearse, elsewhere is not None)
    if elsewhere is None or read.dataset.info.name in IMAGE_FILES:
        require_files(read.dataset)  # as for a launch: what is downloaded lies where the work is done
    seconds = None if timeout is None else 60 * timeout
    how = replace(run_options(read, kind, jobs, per_gpu, gpus, elsewhere), capture=capture)
    options = TuningOptions(writable_runs_folder(runs, tracking_uri), how, storage, tracking_uri, seconds)
    about = {"command": "tune", "sweep": read.name, "runs": str(options.runs)}
    with notifying(notify, about, lambda text: say(f"warning: {text}")) as ended, terminable():
        outcome = Session(read, options, say, on_event).run()
        told = {"study": outcome.study, "trials": dict(outcome.trials), "best": dict(outcome.best)}
        ended(
            not outcome.failed, {**told, "complete": outcome.complete, "winner": outcome.winner and str(outcome.winner)}
        )
    return outcome


def study_text(
    spec: Spec,
    *,
    runs: str | Path | None = None,
    device: str = "auto",
    trials: int | None = None,
    storage: str | None = None,
    overrides: Sequence[str] = (),
    data_root: str | Path | None = None,
    plugin: str | Path | None = None,
    rehearse: bool = False,
) -> str:
    """What is known of a spec's study, for people: `dfcil-sweep tune --show`. Changes nothing.

    Raises UserError where the spec has no `tune:` section, or was not tuned yet.
    """
    from orchestrator.tuning.show import opened, text

    read, kind = _read(spec, device, trials, overrides, data_root, plugin, rehearse)
    return text(opened(read, runs_folder(runs), storage, kind))


def _read(
    spec: Spec,
    device: str,
    trials: int | None,
    overrides: Sequence[str],
    data_root: str | Path | None,
    plugin: str | Path | None,
    rehearse: bool,
    elsewhere: bool = False,
) -> tuple[SweepSpec, str]:
    """The spec, which must have a `tune:` section, and the kind of device."""
    from orchestrator.cluster.device import device_elsewhere, device_kind

    read = read_spec(spec, overrides, data_root, plugin, rehearse)
    if read.tune is None:
        remedy = f"Add one, as in the bundled spec tune-digits: tune: {{method: {read.methods[0].label}, space: ...}}"
        shown = spec if isinstance(spec, str | Path) and not is_text(spec) else read.name
        raise UserError(f"{shown}: there is no `tune:` section. {remedy}")
    if trials is not None:
        read = replace(read, tune=replace(read.tune, trials=int(positive("trials", trials))))
    return read, device_elsewhere(device) if elsewhere else device_kind(device)
