"""No password is shown, whatever it is made of and wherever it stands."""

import os
import subprocess
import sys

import pytest

from orchestrator.tracking.environment import server_environment
from orchestrator.tracking.ui import ui_command
from orchestrator.tracking.uri import without_password

SHOWN = [
    ("postgresql://ada:s3cr3t@host/db", "postgresql://host/db"),
    ("postgresql://u:s3@cr3t@host/db", "postgresql://host/db"),
    ("postgresql://u:s3/cr3t@host/db", "postgresql://host/db"),
    ("postgresql://u:s3?cr3t@host/db", "postgresql://host/db"),
    ("postgresql://u:s3#cr3t@host/db", "postgresql://host/db"),
    ("postgresql+psycopg2://u:s3/@/cr3t@host:5432/db", "postgresql+psycopg2://host:5432/db"),
    ("mysql://u:s3 cr3t@host/db", "mysql://host/db"),
    ("https://:cr3t@host:5000/ml", "https://host:5000/ml"),
    ("https://cr3t@host:5000/ml", "https://host:5000/ml"),
    ("postgresql://host/db?user=u&password=cr3t", "postgresql://host/db?user=u&password=***"),
    ("postgresql://host/db?password=cr3t&sslmode=require", "postgresql://host/db?password=***&sslmode=require"),
    ("postgresql://u:s3@host/db?passwd=cr3t", "postgresql://host/db?passwd=***"),
    ("https://host/ml?token=cr3t", "https://host/ml?token=***"),
    ("https://host/ml?access_token=cr3t", "https://host/ml?access_token=***"),
    ("https://host/ml?api_key=cr3t", "https://host/ml?api_key=***"),
    ("https://host/ml?API-KEY=cr3t", "https://host/ml?API-KEY=***"),
    ("https://host/ml?apikey=cr3t#x", "https://host/ml?apikey=***"),
    ("mysql://host/db?pwd=cr3t", "mysql://host/db?pwd=***"),
    ("mysql://host/db?sslpassword=cr3t", "mysql://host/db?sslpassword=***"),
    ("mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3Dcr3t", "mssql+pyodbc:///?odbc_connect=***"),
]
SOUND = [
    "sqlite:////data/my runs/mlflow.db",
    "http://host:5000/ml",
    "https://host/a@b",
    "postgresql://[::1]:5432/db?sslmode=require",
    "databricks",
    "a key is missing, a token is no word, 3 of 5 @ noon",
]


@pytest.mark.parametrize(("uri", "shown"), SHOWN)
def test_an_address_is_shown_without_its_secrets(uri, shown):
    assert without_password(uri) == shown
    assert without_password(shown) == shown


@pytest.mark.parametrize("text", SOUND)
def test_what_holds_no_secret_stays(text):
    assert without_password(text) == text


@pytest.mark.parametrize(("uri", "shown"), [pair for pair in SHOWN if " " not in pair[0]])
def test_addresses_are_found_in_the_middle_of_a_text(uri, shown):
    text = f"cannot reach {uri} (nor {uri}), sorry: bob@example.org\nsee '{uri}'"
    assert without_password(text) == f"cannot reach {shown} (nor {shown}), sorry: bob@example.org\nsee '{shown}'"
    assert "cr3t" not in without_password(f"{uri},{uri}")


def test_the_words_of_a_database_are_cut_too():
    assert without_password("bad dsn: host=h password=cr3t port=1") == "bad dsn: host=h password=*** port=1"


def test_the_address_is_handed_to_the_server_of_ui_where_no_other_user_reads_it(tmp_path, monkeypatch):
    uri = "postgresql://u:cr3t@host/db"
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "sqlite:////elsewhere.db")
    assert "cr3t" not in " ".join(ui_command(tmp_path, uri, 5000))
    assert server_environment(uri)["MLFLOW_BACKEND_STORE_URI"] == uri


def test_mlflows_server_reads_the_address_from_there():
    code = (
        "from mlflow.cli import cli\nserver = cli.get_command(None, 'server')\n"
        "print({name: o.envvar for o in server.params for name in o.opts}['--backend-store-uri'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip().splitlines()[-1] == "MLFLOW_BACKEND_STORE_URI", done.stderr
