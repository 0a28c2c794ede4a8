"""What only POSIX has is asked for first: a missing name would end a command on Windows."""

from __future__ import annotations

import ast
from pathlib import Path

import kedro_eeipu

PACKAGE = Path(kedro_eeipu.__file__).parent
POSIX_ONLY = {"SIGKILL", "SIGHUP", "SIGALRM", "killpg", "getpgrp", "fork", "geteuid", "getuid"}
POSIX_ONLY |= {"setitimer", "pwrite", "preadv", "sched_getaffinity", "setsid", "mkfifo"}
QUESTIONS = ("hasattr(", "os.name", "sys.platform")
# Functions whose callers, in the same module, ask.
ASKED_BEFORE = {
    "tuning/audit_process.py": {"fork"},
    "cache/store/chunks.py": {"pwrite", "preadv"},
}


def test_posix_names_are_asked_for_first() -> None:
    unguarded = []
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        text = file.read_text(encoding="utf-8")
        functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
        for function in functions:
            source = ast.get_source_segment(text, function) or ""
            used = {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)}
            used = used & POSIX_ONLY - ASKED_BEFORE.get(name, set())
            if used and not any(question in source for question in QUESTIONS):
                unguarded.append((name, function.name, used))
    assert not unguarded
