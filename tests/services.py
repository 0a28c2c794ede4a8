"""Real services on this machine that tests talk to: an S3 server, PostgreSQL, a Dask cluster."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kedro_eeipu.cache.store.store import Store

_NUMBERS = itertools.count()
_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class S3:
    """An S3 server that checks who asks.

    Attributes:
        url: Its address.
        key: Access key of the user who may do everything.
        secret: Secret of that key.
    """

    url: str
    key: str = "nobody"
    secret: str = "nothing"

    @property
    def options(self) -> dict[str, Any]:
        """Storage options with which s3fs reaches it."""
        return {"key": self.key, "secret": self.secret, "client_kwargs": {"endpoint_url": self.url}}

    def client(self, service: str = "s3") -> Any:
        """A client of boto3."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
        )

    def bucket(self) -> str:
        """A new, empty bucket."""
        name = f"bucket-{os.getpid()}-{next(_NUMBERS)}"
        self.client().create_bucket(Bucket=name)
        return name

    def store(self, root: str | None = None, **options: Any) -> Store:
        """A store in a new bucket, or at a root."""
        return Store(
            root or f"s3://{self.bucket()}/some/prefix",
            **{"storage_options": self.options, "secret": b"signs", **options},
        )

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The objects of a bucket."""
        pages = (
            self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        )
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def admit_one_user(self) -> None:
        """Make a user, and from now on refuse everybody else."""
        iam = self.client("iam")
        iam.create_user(UserName="tuner")
        iam.put_user_policy(
            UserName="tuner", PolicyName="all", PolicyDocument=json.dumps(_EVERYTHING)
        )
        made = iam.create_access_key(UserName="tuner")["AccessKey"]
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]
        request = urllib.request.Request(
            f"{self.url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}, method="POST"
        )
        urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server of this test session."""
    with s3_server() as server:
        yield server


@contextmanager
def s3_server() -> Iterator[S3]:
    """Start an S3 server, and end it."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, process)
        server = S3(f"http://127.0.0.1:{port}")
        server.admit_one_user()
        yield server
    finally:
        process.kill()
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    """Return once somebody listens there.

    Raises:
        RuntimeError: The process has ended, or time has run out.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}: {process.args!r}")


@dataclass
class PostgreSQL:
    """A database server.

    Attributes:
        port: Where it listens.
        user: Its superuser.
        password: Of that user.
    """

    port: int
    user: str = "tuner"
    password: str = "planted-database-password"

    def database(self) -> str:
        """URL of a new, empty database, without the credentials."""
        name = f"study_{os.getpid()}_{next(_NUMBERS)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
        ) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server of this test session."""
    found = initdb()
    if found is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with postgresql_server(found) as server:
        yield server


def initdb() -> str | None:
    """The program of PostgreSQL that makes a new server's folder."""
    debian = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)
    return shutil.which("initdb") or (str(debian) if debian else None)


@contextmanager
def postgresql_server(found: str) -> Iterator[PostgreSQL]:
    """Start a PostgreSQL server, and end it."""
    # It refuses to be run by root, and its user must get through to its folder.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    server = PostgreSQL(free_port())
    account: dict[str, Any] = {"cwd": folder}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        account |= {"user": "postgres", "group": "postgres", "extra_groups": []}
    password = folder / "password"
    password.write_text(server.password)
    password.chmod(0o644)
    create = f"{found} -D {folder}/data -U {server.user} --pwfile {password}"
    create += " --auth=scram-sha-256 --no-sync --encoding=UTF8 --locale=C"
    subprocess.run(create.split(), check=True, stdout=subprocess.DEVNULL, **account)
    serve = f"{Path(found).with_name('postgres')} -D {folder}/data -p {server.port} -c fsync=off"
    serve += f" -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    process = subprocess.Popen(
        serve.split(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **account,
    )
    try:
        wait_for_port(server.port, process)
        wait_until_ready(server)
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)  # at once
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(server: PostgreSQL) -> None:
    """Return once the server lets us in: it listens while it still starts."""
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            server.execute("SELECT 1")
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class Dask:
    """A scheduler and workers, as somebody starts them by hand."""

    def __init__(self, project: Any, workers: int = 2, threads: int = 1) -> None:
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self._folder, self._environment = project.path, project.environment()
        self.processes = [self._start("scheduler", "--port", str(port), "--no-dashboard")]
        wait_for_port(port, self.processes[0])
        options = ("--nthreads", str(threads), "--no-dashboard")
        self.processes += [self._start("worker", self.address, *options) for _ in range(workers)]

    def _start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", what, "--host", "127.0.0.1", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """End them and what they have started at once: a worker asked to end waits for others."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for process in self.processes:
            process.wait()
