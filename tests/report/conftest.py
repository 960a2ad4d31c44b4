import numpy as np
import pytest

from flowbench.io import write_image
from flowbench.report.html import Report, ReportImage


@pytest.fixture
def report(tmp_path):
    """A report with 250 samples, two pictures, and text that would break a page which does not escape it."""
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    write_image(tmp_path / "worst.png", array)
    samples = [
        {"key": f"alley_1/{index:04d}", "epe": 0.01 * ((index * 37) % 250), "steps": index} for index in range(250)
    ]
    samples[7]["epe"] = float("nan")
    return Report(
        title="raft on <sintel> & {{content}}",
        settings={"checkpoint": "<script>document.title = 'broken'</script>", "iterations": 32},
        metrics={"epe": 1.23456, "fl_all": 4.567},
        per_sequence=[{"sequence": '"alley_1"', "epe": 0.98765}, {"sequence": "<b>cave_2</b>", "epe": 2.5}],
        per_sample=samples,
        images=[
            ReportImage(tmp_path / "worst.png", "alley_1/0003: <i>EPE</i> 2.49 px", "Worst samples"),
            ReportImage(array, "alley_1/0007", "Median samples"),
        ],
    )
