"""Numbers in words."""

from __future__ import annotations

from kedro_eeipu.wording import counted, duration, in_bytes


def test_quantities_in_words() -> None:
    assert [in_bytes(n) for n in (0, 999, 1500, 20e9)] == ["0 B", "999 B", "1.5 KB", "20 GB"]
    said = [duration(s) for s in (0, 0.01234, 90, 5400, 172800, 864000)]
    assert said == ["0 s", "0.012 s", "90.0 s", "90.0 min", "48.0 h", "10.0 d"]
    said = [counted(n, "trial") for n in (0, 1, 1.0, 2.5, 2_000_000)]
    assert said == ["0 trials", "1 trial", "1 trial", "2.5 trials", "2000000 trials"]
