"""Reading a tracking store: the runs of a sweep, their points and artifacts. It writes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from orchestrator.errors import UserError, choices
from orchestrator.tracking import describe
from orchestrator.tracking.faults import STORE_ERRORS, told
from orchestrator.tracking.patient import patient_client
from orchestrator.tracking.runs import find_experiment, search
from orchestrator.tracking.uri import without_password

__all__ = ["Metric", "Run", "TrackingStore"]


class TrackingStore:
    """A tracking store that is read. For use by several threads."""

    def __init__(self, uri: str) -> None:
        """Asks nothing of it yet."""
        self.uri = uri

    @cached_property
    def _client(self) -> MlflowClient:
        return patient_client(self.uri)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """All reading goes on within this: a store that is out of reach becomes a UserError."""
        try:
            yield
        except STORE_ERRORS as error:
            text = told(error, self.uri)
            raise UserError(f"the tracking store {without_password(self.uri)} cannot be read: {text}") from error

    def runs(self, sweep: str, experiment: str) -> list[Run]:
        """All runs of a sweep, the oldest first. Raises UserError where there is no such sweep."""
        found = find_experiment(self._client, sweep, experiment)
        if found is None:
            known = [entry.name for entry in self._client.search_experiments() if entry.name != "Default"]
            told = choices(sweep, known) if known else "It has no sweeps"
            raise UserError(f"no sweep '{sweep}' in the tracking store {without_password(self.uri)}. {told}")
        if found.lifecycle_stage != "active":
            raise UserError(
                f"the experiment '{found.name}' is in the trash of the tracking store {without_password(self.uri)}. "
                f"Restore it with: mlflow experiments restore --experiment-id {found.experiment_id}"
            )
        return search(self._client, found.experiment_id, {describe.SWEEP: sweep})

    def points(self, run: Run, key: str) -> Sequence[Metric]:
        """All points of a metric of a run; none where the run does not have it."""
        return self._client.get_metric_history(run.info.run_id, key) if key in run.data.metrics else []

    def artifacts(self, run: Run, folder: str) -> list[str]:
        """The paths of the artifacts in a folder of a run."""
        return [file.path for file in self._client.list_artifacts(run.info.run_id, folder)]

    def content(self, run: Run, path: str) -> bytes | None:
        """An artifact's content; None where it is not there, or out of reach from here."""
        address = f"{run.info.artifact_uri}/{path}"
        if urlsplit(address).scheme in ("", "file"):
            file = Path(url2pathname(urlsplit(address).path))
            return file.read_bytes() if file.is_file() else None
        try:
            return Path(download_artifacts(artifact_uri=address, tracking_uri=self.uri)).read_bytes()
        except (MlflowException, OSError):
            return None
