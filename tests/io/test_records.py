"""JSON and CSV that other programs can read."""

import csv
import json
import os

import numpy as np

from flowbench.io import write_csv, write_json


def test_json_holds_numpy_numbers_and_null_for_nan(tmp_path):
    write_json(
        tmp_path / "metrics.json", {"epe": np.float32(1.5), "n": np.int64(3), "bad": float("nan"), "e": [np.inf]}
    )
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"epe": 1.5, "n": 3, "bad": None, "e": [None]}


def test_csv_has_all_columns_and_full_precision(tmp_path):
    rows = [{"key": "a,b", "epe": 0.1 + 0.2}, {"key": "é", "fl_all": np.float64(2), "epe": float("nan")}]
    write_csv(tmp_path / "per_sample.csv", rows)
    with open(tmp_path / "per_sample.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert read == [
        {"key": "a,b", "epe": "0.30000000000000004", "fl_all": ""},
        {"key": "é", "epe": "", "fl_all": "2.0"},
    ]
    assert os.listdir(tmp_path) == ["per_sample.csv"]
