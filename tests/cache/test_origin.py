"""Where a module comes from."""

from __future__ import annotations

import sys
import types

import pytest
from numpy.linalg import _umath_linalg as compiled

from kedro_eeipu.cache.identity.origin import is_compiled, origin_of


def test_a_library_module_under_a_second_name_is_the_library_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cython does so with modules of scikit-learn: `_loss` is `sklearn._loss._loss`."""
    monkeypatch.setitem(sys.modules, "_short", compiled)
    assert origin_of("_short") == origin_of("numpy")
    assert not origin_of("_short").is_project
    assert not is_compiled("_short")


def test_a_project_module_under_a_library_name_is_the_project_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "numpy.short", sys.modules[__name__])
    assert origin_of("numpy.short").is_project
    # One that claims a name of a library is not that module.
    claiming = types.ModuleType("numpy.linalg")
    claiming.__spec__ = sys.modules["numpy.linalg"].__spec__
    monkeypatch.setitem(sys.modules, "mine", claiming)
    assert origin_of("mine").is_project


def test_installed_package_that_kedro_runs_is_the_project(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be built and installed again with the same version."""
    assert not origin_of("numpy.linalg").is_project
    monkeypatch.setattr("kedro.framework.project.PACKAGE_NAME", "numpy")
    assert origin_of("numpy.linalg").is_project
    monkeypatch.undo()
    assert not origin_of("numpy.linalg").is_project
