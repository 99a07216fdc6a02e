"""How MLflow is to behave inside dfcil-sweep, said in the only way it listens to: environment variables.

What the person has set stays. Called before mlflow is imported, and for the server that `dfcil-sweep ui` starts.
"""

import os

# Nothing waits for MLflow, and what is not delivered is tried again later: so a call that fails fails soon, and is not
# repeated blindly (a repeated `create_run` would make two runs; patient.py repeats what may be). MLflow does not print
# into our progress display, and does not call home.
_CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PGCONNECT_TIMEOUT": "10",
}
# The jobs that a server can run have nothing to do with tracking, and take a process and 300 MB each.
_SERVER = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def prepare_client() -> None:
    """Set what is not set, for this process."""
    for name, value in _CLIENT.items():
        os.environ.setdefault(name, value)


def server_environment(uri: str) -> dict[str, str]:
    """The environment of a server process whose runs lie at `uri`."""
    # The person's own variables are of the server they run elsewhere, and must not choose another store for this one.
    return {**_SERVER, **os.environ, "MLFLOW_BACKEND_STORE_URI": uri}
