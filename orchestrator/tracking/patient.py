"""MLflow's client, for a network that loses a call now and then: calls that fail in passing are made again.

Only such as may be made twice: equal points are kept once, and tags and parameters are set to what they are. A run is
made again only after a look whether the first call made it, its answer lost.
"""

import random
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from mlflow.entities import LoggedModel, LoggedModelOutput, Run
from mlflow.tracking import MlflowClient
from mlflow.utils import rest_utils

from orchestrator.tracking import describe, runs
from orchestrator.tracking.faults import STORE_ERRORS

_ATTEMPTS = 6
_FIRST_PAUSE = 0.05  # seconds; each later one is twice as long, and half as much again by chance
_AGAIN = (
    *("search_runs", "search_experiments", "get_run", "get_experiment", "get_experiment_by_name", "list_artifacts"),
    *("get_metric_history", "log_batch", "log_inputs", "set_tag", "set_terminated", "update_run"),
    *("search_logged_models", "finalize_logged_model", "set_experiment_tag"),
)
# Each is several requests, of which one is lost more easily than all are lost again: the requests are made again.
COMPOSITE = ("log_text", "log_artifact", "log_artifacts", "log_image", "log_model_artifacts")
# In the words of urllib3 and requests: the server answered that it cannot now, or broke off. One that is not there at
# all (refused, timed out, not found) is not asked again at once: that would hold up whoever waits for the end.
_IN_PASSING = ("error responses", "Connection aborted", "Connection reset", "Remote end closed", "IncompleteRead")
_IN_PASSING_CODES = ("429", "500", "502", "503", "504")
# What says which run it is, of a sweep and of a study.
_IDENTITY = (describe.SWEEP, describe.RUNS, describe.KIND, describe.JOB, "dfcil.study", "dfcil.trial")


def patient_client(uri: str) -> MlflowClient:
    """A client for the store at `uri`; of a server, one that is patient."""
    client = MlflowClient(tracking_uri=uri)
    return cast(MlflowClient, _Patient(client)) if uri.startswith(("http://", "https://")) else client


Made = TypeVar("Made")


class _Patient:
    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in COMPOSITE:
            return _requests_again(found)
        return _again(found) if name in _AGAIN else found

    # What makes something new looks first, after a failure, for what the failed call may have made.

    def create_run(self, experiment: str, start: int | None, tags: Mapping[str, str], name: str | None = None) -> Run:
        identity = {key: tags[key] for key in _IDENTITY if key in tags}
        return _once(
            lambda: self._client.create_run(experiment, start, dict(tags), name),
            lambda: next(reversed(runs.search(self._client, experiment, identity)), None),
        )

    def create_experiment(self, name: str, *arguments: Any) -> str:
        def find() -> str | None:
            found = self._client.get_experiment_by_name(name)
            return None if found is None else str(found.experiment_id)

        return _once(lambda: str(self._client.create_experiment(name, *arguments)), find)

    def create_logged_model(self, experiment: str, name: str, run: str, *arguments: Any) -> LoggedModel:
        made = f"source_run_id = '{run}' AND name = '{name}'"
        return _once(
            lambda: self._client.create_logged_model(experiment, name, run, *arguments),
            lambda: next(iter(self._client.search_logged_models([experiment], made)), None),
        )

    def log_outputs(self, run: str, models: list[LoggedModelOutput]) -> bool:
        def make() -> bool:
            self._client.log_outputs(run, models)
            return True

        def find() -> bool:
            outputs = self._client.get_run(run).outputs
            there = {model.model_id for model in outputs.model_outputs} if outputs else set()
            return {model.model_id for model in models} <= there

        return _once(make, find)


def _once(make: Callable[[], Made], find: Callable[[], Made | None]) -> Made:
    """What `make` makes, and makes again after a failure in passing where `find` does not find it by then."""
    failed = False

    def made() -> Made:
        nonlocal failed
        if failed and (found := find()):
            return found
        failed = True
        return make()

    return cast(Made, _again(made)())


def _again(call: Callable[..., Any]) -> Callable[..., Any]:
    def patient(*arguments: Any, **options: Any) -> Any:
        pause = _FIRST_PAUSE
        for _ in range(_ATTEMPTS - 1):
            try:
                return call(*arguments, **options)
            except STORE_ERRORS as error:
                if not _in_passing(error):
                    raise
            time.sleep(pause * (1 + random.random() / 2))
            pause *= 2
        return call(*arguments, **options)

    return patient


_ONE_BY_ONE = ContextVar("one_by_one", default=False)
_HOOK = "_get_http_response_with_retries"  # private to MLflow: what it makes every request with
_request: Callable[..., Any] = getattr(rest_utils, _HOOK)


def _patient_request(*arguments: Any, **options: Any) -> Any:
    if not _ONE_BY_ONE.get():
        return _request(*arguments, **options)
    file: Any = options.get("data")

    def request() -> Any:
        if hasattr(file, "seek"):
            file.seek(0)  # of an upload: the request before has read it to its end, and this one would send nothing
        return _request(*arguments, **options)

    return _again(request)()


# MLflow's own retries wait for seconds, wait for a server that is not there as well, and are the same for every call.
setattr(rest_utils, _HOOK, _patient_request)


def _requests_again(call: Callable[..., Any]) -> Callable[..., Any]:
    def patient(*arguments: Any, **options: Any) -> Any:
        before = _ONE_BY_ONE.set(True)
        try:
            return call(*arguments, **options)
        finally:
            _ONE_BY_ONE.reset(before)

    return patient


def _in_passing(error: BaseException) -> bool:
    status = getattr(getattr(error, "response", None), "status_code", None)  # of what requests raises for artifacts
    if str(status) in _IN_PASSING_CODES:
        return True
    text = str(error)
    words = (*_IN_PASSING, *(f"error code {code}" for code in _IN_PASSING_CODES))
    return any(part in text for part in words)
