"""A study or a cache that cannot be opened: what is wrong is told before anything runs."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
import sqlalchemy
from command_line import Shell, refused
from fsspec.registry import known_implementations
from optuna.exceptions import StorageInternalError


@pytest.mark.parametrize("url", ["nosuch://host/db", "what"])
def test_storage_that_cannot_be_opened_is_a_message(shell: Shell, url: str) -> None:
    shell.project.write_settings({"study": {"storage": url}})
    refused(shell("tune"), "eeipu.yml: study.storage", "database URL")


def test_a_file_of_the_study_that_cannot_be_opened_is_named(shell: Shell) -> None:
    shell.project.write_settings({"study": {"storage": "sqlite:////proc/x/study.db"}})
    refused(shell("tune"), "the study's file /proc/x/study.db", "disk is not full")
    other = shell.project.path / "other.db"
    other.write_text("something else\n" * 100)
    shell.project.write_settings({"study": {"storage": f"sqlite:///{other}"}})
    for command in ("tune", "trials"):
        refused(shell(command), f"the study's file {other}", "not a database", "Move it away")


def test_a_study_on_a_full_disk_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> None:
        cause = sqlalchemy.exc.OperationalError("", {}, sqlite3.OperationalError("disk is full"))
        raise StorageInternalError("An exception is raised") from cause

    monkeypatch.setattr("optuna.create_study", full)
    result = shell("tune")
    refused(result, f"the study's file {shell.project.path}/.eeipu/study.db", "disk is full")
    assert "eeipu.yml" not in result.stderr


def test_a_server_that_does_not_answer_is_no_wrong_url(shell: Shell) -> None:
    shell.project.write_settings({"study": {"storage": "postgresql://127.0.0.1:1/db"}})
    result = shell("tune")
    refused(result, "eeipu.yml: study.storage", "Check that the server runs")
    assert "Write a database URL" not in result.stderr


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_study_in_memory_is_refused(shell: Shell, url: str) -> None:
    shell.project.write_settings({"study": {"storage": url}})
    for command in ("tune", "trials"):
        refused(shell(command), "eeipu.yml: study.storage", "keeps nothing after the command")


def test_a_cache_that_cannot_be_written_is_refused_before_the_first_trial(shell: Shell) -> None:
    shell.project.write_settings({"cache": {"root": "/proc/nope"}})
    refused(shell("tune"), "eeipu.yml: cache.root", "cache at /proc/nope cannot be written")
    assert shell("cache", "ls").exit_code == 0


@pytest.mark.parametrize("root", ["s3:/bucket/x", "file:/home/x"])
def test_a_root_with_one_slash_is_no_folder(shell: Shell, root: str) -> None:
    shell.project.write_settings({"cache": {"root": root}})
    refused(shell("plan"), "eeipu.yml: cache.root", f"Write two slashes: {root.replace(':', ':/')}")


def test_a_missing_library_for_the_cache_is_all_that_is_told(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        known_implementations,
        "gone",
        {"class": "no_library.X", "err": "Install it"},
    )
    shell.project.write_settings({"cache": {"root": "gone://bucket/x"}})
    result = shell("plan")
    refused(result, "eeipu.yml: cache.root", "library for gone://bucket/x is missing: Install it")
    assert "other people's code" not in result.stderr
    shell.project.write_settings({"cache": {"root": "nosuch://bucket/x"}})
    refused(shell("plan"), "eeipu.yml: cache.root", "Protocol not known: nosuch")
