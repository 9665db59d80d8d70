"""The table of samples holds every text as it was written."""

import csv

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet

from collapse.results import samples

TEXTS = ["first\rsecond", "\r", 'a "b", c\r\n\nd', "", " NA ", "1.0", "\u2028 \x0b\x1c"]


def test_texts_come_back_from_the_table(tmp_path):
    shards = []
    for iteration, start in enumerate(range(0, len(TEXTS), samples.SHOWN_SAMPLES), start=1):
        path = tmp_path / f"{iteration}.parquet"
        shown = TEXTS[start : start + samples.SHOWN_SAMPLES]
        parquet.write_table(pa.table({"text": shown}), path)
        shards.append((("p", "r", iteration), str(path)))
    samples.write(shards, table=tmp_path / "samples.csv")
    found = pd.read_csv(tmp_path / "samples.csv", keep_default_na=False)
    assert found["text"].tolist() == TEXTS
    assert found["iteration"].tolist() == [1, 1, 1, 2, 2, 2, 3]
    with open(tmp_path / "samples.csv", newline="", encoding="utf-8") as file:
        assert [row["text"] for row in csv.DictReader(file)] == TEXTS
    # No version of Python ends a row at a carriage return within quotes.
    assert '"first\rsecond"' in (tmp_path / "samples.csv").read_bytes().decode()
