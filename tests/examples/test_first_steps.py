"""The notebook runs from its first cell to its last, outside of Jupyter and in a fresh process, and shows what it says."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "first_steps.ipynb"
# Jupyter brings IPython along; here, two names stand in for it, and what is displayed goes to files.
STAND_IN = """
import sys, types
from pathlib import Path
shown = []
def display(data):
    Path(f"shown_{len(shown)}.png").write_bytes(data)
    shown.append(data)
sys.modules["IPython"] = types.ModuleType("IPython")
sys.modules["IPython.display"] = types.ModuleType("IPython.display")
sys.modules["IPython.display"].Image = lambda data: data
sys.modules["IPython.display"].display = display
"""


def cells():
    return json.loads(NOTEBOOK.read_text())["cells"]


def code():
    return ["".join(cell["source"]) for cell in cells() if cell["cell_type"] == "code"]


def test_the_notebook_is_stored_without_outputs():
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells() if "outputs" in cell)


@pytest.mark.slow
def test_the_notebook_goes_from_film_frames_to_metrics(tmp_path):
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    program = tmp_path / "notebook.py"
    program.write_text("\n\n".join([STAND_IN, *code()]))
    ended = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr

    told = dict(line.rsplit(maxsplit=2)[:2] for line in ended.stdout.splitlines() if line.endswith(" px"))
    assert float(told["shipped"]) < 0.8 * float(told["no motion"])
    assert "of the pixels are occluded" in ended.stdout
    frame_and_flow, wheel, frame_and_visible = (cv2.imread(str(tmp_path / f"shown_{n}.png")) for n in range(3))
    assert frame_and_flow.shape == frame_and_visible.shape == (218, 1024, 3)
    assert wheel.shape == (100, 100, 3)
    hidden = (frame_and_visible[:, 512:] == 0).all(axis=-1).mean()
    assert 0.002 < hidden < 0.5
    assert np.array_equal(frame_and_flow[:, :512], frame_and_visible[:, :512])
