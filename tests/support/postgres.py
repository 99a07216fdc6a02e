"""A PostgreSQL server of a test's own, from Debian's programs, which can go down and come back."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.support.second_user import open_folder
from tests.support.tools import need


@contextmanager
def postgres() -> "Iterator[Postgres]":
    """A server that is up, with files of its own, until the end."""
    with open_folder() as home:
        server = Postgres(home)
        server.start()
        try:
            yield server
        finally:
            if (home / "data" / "postmaster.pid").exists():
                server.stop()


class Postgres:
    """A server on this machine, with databases that a password opens. Skips where there are no programs for it."""

    def __init__(self, home: Path) -> None:
        # Debian keeps the server's programs out of the path.
        folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
        os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *folders])
        need("initdb", "pg_ctl")
        self.home = home
        # The server refuses to run as root.
        self._user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        if self._user:
            subprocess.run(["chown", "postgres:postgres", str(home)], check=True)
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (home / "password").write_text("sesame\n")
        (home / "password").chmod(0o644)
        settings = ["-U", "tuner", "-A", "scram-sha-256", f"--pwfile={home / 'password'}", "--no-sync"]
        self._run("initdb", "-D", str(home / "data"), *settings)

    def _run(self, *command: str) -> None:
        subprocess.run([*self._user, *command], check=True, cwd=self.home, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        data, log = str(self.home / "data"), str(self.home / "log")
        self._run("pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.home / "data"), "-m", "immediate", "stop")

    def database(self, name: str) -> str:
        """The address of a new database."""
        import psycopg

        with psycopg.connect(f"postgresql://tuner:sesame@127.0.0.1:{self.port}/postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg://tuner:sesame@127.0.0.1:{self.port}/{name}"
