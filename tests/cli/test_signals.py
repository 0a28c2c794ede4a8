"""Ctrl-C and a polite kill end a command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator

import pytest

from kedro_eeipu.cli.common import interrupt_on_signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # commands before have their own
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Killed:
    """An object in whose finalizer the signal comes."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_interrupts(number: int) -> None:
    has_come = interrupt_on_signals()
    assert not has_come()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert has_come()


def test_signal_in_a_finalizer_is_known_and_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    has_come = interrupt_on_signals()
    Killed()
    assert has_come()
    assert unraisable == []
