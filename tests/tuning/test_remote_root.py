"""A study whose cache lies in a bucket."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kedro.framework.startup import bootstrap_project

from kedro_eeipu.cli import commands
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.study.limits import Limits


def invoke(project: Any, *arguments: str) -> Result:
    project.bootstrap()
    metadata = bootstrap_project(project.path)
    return CliRunner().invoke(commands, ["eeipu", *arguments], obj=metadata)


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def texts(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """All files but the user's credentials."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "credentials.yml":
            yield path, path.read_bytes()


def test_second_process_reuses_what_the_first_has_put_into_the_bucket(
    project: Any, s3: Any
) -> None:
    root = project.keep_in_bucket(s3)
    first = project.tuner(limits=Limits(trials=3)).run()
    assert project.executions()
    assert not (project.path / ".eeipu" / "cache").exists()
    shutil.rmtree(project.path / ".eeipu")  # another machine: no study, no copies
    done = project.kedro("eeipu", "tune", "--trials", "3")
    assert done.returncode == 0, done.stderr
    assert project.executions() == []
    again = project.tuner(limits=Limits(trials=3)).run()
    assert [t.value for t in again.trials] == [t.value for t in first.trials]
    assert all(n.status == "reused" for t in again.trials for n in t.nodes)

    secrets = [s3.key.encode(), s3.secret.encode(), b"planted-signing-key"]
    bucket = root.split("/")[2]
    objects = {
        key: s3.client().get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in s3.keys(bucket)
    }
    assert len(objects) > 10
    written = [*texts(project.path), *objects.items(), ("terminal", done.stdout.encode())]
    written.append(("log", done.stderr.encode()))
    assert [name for name, text in written for secret in secrets if secret in text] == []


def test_processes_of_one_trial_share_the_bucket(project: Any, s3: Any) -> None:
    from kedro.runner import ParallelRunner

    project.keep_in_bucket(s3)
    outcome = project.tuner(limits=Limits(trials=2), runner=ParallelRunner(2)).run()
    assert [t.state for t in outcome.trials] == ["complete", "complete"]
    again = project.tuner(study="again", limits=Limits(trials=2)).run()
    assert all(n.status == "reused" for t in again.trials for n in t.nodes)


def refused(project: Any, s3: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        project.tuner(limits=Limits(trials=1)).run()
    said = str(error.value)
    assert project.executions() == [], "before the first trial"
    for secret in (s3.secret, "planted"):
        assert secret not in said
    return said


def test_missing_bucket_is_told_and_never_made(project: Any, s3: Any) -> None:
    project.keep_in_bucket(s3, bucket="there-is-no-such-bucket")
    said = refused(project, s3)
    assert "s3://there-is-no-such-bucket/tuning/cache" in said
    assert "The specified bucket does not exist" in said
    names = [b["Name"] for b in s3.client().list_buckets()["Buckets"]]
    assert "there-is-no-such-bucket" not in names


def test_wrong_credentials_are_told(project: Any, s3: Any) -> None:
    project.keep_in_bucket(s3)
    wrong = {**s3.options, "secret": "planted-wrong-secret"}
    project.write_credentials({"bucket": wrong, "signing": {"key": "planted-signing-key"}})
    done = project.kedro("eeipu", "tune", "--trials", "1")
    assert done.returncode == 2
    assert "signature we calculated does not match" in done.stderr
    assert "entry 'bucket' of credentials.yml" in done.stderr
    assert "Traceback" not in done.stderr
    assert "planted" not in done.stdout + done.stderr
    assert project.executions() == []


def test_missing_library_is_told(project: Any, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.registry import _registry

    project.keep_in_bucket(s3)
    for protocol in ("s3", "s3a"):
        monkeypatch.delitem(_registry, protocol, raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert "pip install 'kedro-eeipu[s3]'" in refused(project, s3)


def test_bucket_without_a_signing_key_is_refused(project: Any, s3: Any) -> None:
    project.keep_in_bucket(s3, signing_key="")
    assert "cache: {signing_key: NAME}" in refused(project, s3)


def test_password_in_the_url_is_refused(project: Any, s3: Any) -> None:
    project.keep_in_bucket(s3, root="s3://someone:planted-password@bucket/cache")
    assert "cache.credentials" in refused(project, s3)


def test_cache_commands_work_on_a_bucket(project: Any, s3: Any) -> None:
    root = project.keep_in_bucket(s3)
    project.tuner(limits=Limits(trials=2)).run()
    kept = told(invoke(project, "cache", "ls", "--format", "json"))
    assert {entry["node"] for entry in kept} == {"clean", "left", "right", "join", "score"}
    assert all(entry["kept"] and entry["trials"] for entry in kept)
    assert told(invoke(project, "cache", "verify", "--format", "json")) == []
    client, bucket = s3.client(), root.split("/")[2]
    harmed = next(key for key in s3.keys(bucket) if "/cas/" in key)
    client.put_object(Bucket=bucket, Key=harmed, Body=b"other bytes")
    found = invoke(project, "cache", "verify", "--format", "json")
    assert found.exit_code == 1
    assert any(p["path"] in harmed for p in json.loads(found.stdout))
    client.delete_object(Bucket=bucket, Key=harmed)
    project.keep_in_bucket(s3, bucket=bucket, max_size="1KB")
    assert told(invoke(project, "cache", "gc", "--format", "json"))["size"] <= 1000
    assert invoke(project, "cache", "clear", "--yes").exit_code == 0
    assert s3.keys(bucket) == []


def test_size_limit_is_kept_in_the_bucket(project: Any, s3: Any) -> None:
    project.keep_in_bucket(s3, max_size="1500B")
    tuner = project.tuner(limits=Limits(trials=4), sampler="random")
    assert [t.state for t in tuner.run().trials] == ["complete"] * 4
    assert 0 < tuner.project.store.stats()["blob_bytes"] <= 1500
    assert tuner.project.store.verify() == []


def test_bucket_that_vanishes_costs_computing_only(project: Any, s3: Any) -> None:
    """Once a study is under way, no trouble with the cache ends it."""
    root = project.keep_in_bucket(s3)
    tuner = project.tuner(limits=Limits(trials=2))
    client, bucket = s3.client(), root.split("/")[2]
    tuner.evaluate(tuner.project.space.defaults())
    for key in s3.keys(bucket):
        client.delete_object(Bucket=bucket, Key=key)
    client.delete_bucket(Bucket=bucket)
    again = tuner.evaluate({**tuner.project.space.defaults(), "shift": 9.0})
    assert again.state == "complete"
