"""Every kind of damage to a submission is found."""

import re
import shutil
from functools import partial

import cv2
import numpy as np
import pytest
from support.runs import run_here

from flowbench.data.sample_trees import write_tree
from flowbench.data.sets.kitti import Kitti
from flowbench.data.sets.sintel import Sintel
from flowbench.data.sets.spring import Spring
from flowbench.engine.check_submission import check_submission, checked_folder
from flowbench.engine.prediction.submission import server_of
from flowbench.io import write_flow
from flowbench.io.flo import write_flo
from flowbench.io.flo5 import write_flo5

SIZE = (32, 40)
PAIRS = 2
FLOW = np.random.default_rng(0).normal(0, 5, (*SIZE, 2)).astype(np.float32)
FILES = {
    "sintel": [f"{kind}/ambush_{n}/frame0001.flo" for kind in ("clean", "final") for n in (1, 2)],
    "kitti": [f"flow/00000{n}_10.png" for n in (0, 1)],
    "kitti2012": [f"00000{n}_10.png" for n in (0, 1)],
    "spring": [
        f"000{n}/{way}_{camera}/{way}_{camera}_{frame}.flo5"
        for n in (1, 2)
        for way, frame in (("flow_FW", "0001"), ("flow_BW", "0002"))
        for camera in ("left", "right")
    ],
}
ROOTS = {"sintel": "Sintel", "kitti": "KITTI", "kitti2012": "KITTI2012", "spring": "Spring"}
SETS = {
    "sintel": Sintel,
    "kitti": Kitti,
    "spring": partial(Spring, cameras=("left", "right"), directions=("future", "past")),
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    root = tmp_path_factory.mktemp("data_sets")
    for name, folder in ROOTS.items():
        write_tree(name, root / folder, pairs=PAIRS, size=SIZE)
    return root


@pytest.fixture
def whole(monkeypatch):
    """The small trees pass for whole data sets."""
    for kind in (Sintel, Kitti, Spring):
        monkeypatch.setattr(kind, "published_count", lambda self: len(self.all_pairs))


@pytest.fixture
def checked(trees, tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWBENCH_DATA", str(trees))

    def run(*words):
        return run_here(check_submission, "check_submission", f"hydra.run.dir={tmp_path}/run", *words)

    return run


@pytest.fixture
def submission(tmp_path):
    """Writes a flawless submission."""

    def write(data):
        for file in FILES[data]:
            write_flow(tmp_path / "submission" / file, FLOW)
        return tmp_path / "submission"

    return write


@pytest.mark.parametrize("data", FILES)
@pytest.mark.usefixtures("whole")
def test_a_flawless_submission_passes(checked, submission, data):
    folder = submission(data)
    ended = checked(f"data={data}", f"submission={folder}")
    assert ended.code == 0, ended.told
    counts = "clean 2, final 2" if data == "sintel" else f"{data} {len(FILES[data])}"
    assert f"files that the server takes: {counts}" in ended.told
    assert "No problem found. Now " in ended.told
    assert str(folder) in ended.told


def test_a_submission_for_a_part_of_the_data_set_does_not_pass(checked, submission, trees):
    ended = checked("data=sintel", f"submission={submission('sintel')}")
    assert ended.code == 1
    for name in ("clean", "final"):
        assert f"{name}: the server wants 552 pairs, but 2 were found in '{trees / 'Sintel'}'" in ended.told
    assert "0 missing, 0 unexpected, 2 wrong" in ended.told


def truncated(path):
    path.write_bytes(path.read_bytes()[:-9])


def rewritten(change, write=write_flow):
    def damage(path):
        flow = FLOW.copy()
        write(path, change(flow))

    return damage


def with_nan(flow):
    flow[3, 4, 0], flow[5, 6] = np.nan, np.inf
    return flow


def in_8_bits(path):
    cv2.imwrite(str(path), np.ones((*SIZE, 3), np.uint8))


def with_invalid_pixels(path):
    valid = np.ones(SIZE, bool)
    valid[:2, :3] = False
    write_flow(path, FLOW, valid)


DAMAGES = [
    ("sintel", truncated, r"truncated: .*"),
    ("sintel", lambda path: path.write_bytes(b""), r"the file is empty.*"),
    ("sintel", rewritten(lambda flow: flow[:-1]), r"40x31, but its image is 40x32\."),
    ("sintel", rewritten(with_nan, write_flo), r"not finite at 2 pixels\."),
    ("spring", rewritten(with_nan, write_flo5), r"not finite at 2 pixels\."),
    ("spring", rewritten(lambda flow: flow.repeat(2, axis=0)), r"40x64, but its image is 40x32\."),
    ("spring", truncated, r"truncated.*"),
    ("kitti", truncated, r"truncated: .*"),
    ("kitti", in_8_bits, r"3 channels of uint8; KITTI flow has 3 channels of uint16.*"),
    ("kitti", with_invalid_pixels, r"6 pixels are marked as invalid; .*"),
    ("kitti", rewritten(lambda flow: flow[:, 1:]), r"39x32, but its image is 40x32\."),
]


@pytest.mark.parametrize(("data", "damage", "sentence"), DAMAGES)
@pytest.mark.usefixtures("whole")
def test_damage_is_named(submission, trees, data, damage, sentence):
    folder, file = submission(data), FILES[data][1]
    damage(folder / file)
    samples = SETS[data](trees / ROOTS[data], split="test")
    found = checked_folder(folder, server_of(data, [samples]), {data: samples})
    assert (found.missing, found.unexpected, found.doubtful) == ([], [], [])
    assert len(found.wrong) == 1
    assert re.fullmatch(f"{folder / file}: {sentence}", found.wrong[0]), found.wrong[0]


@pytest.mark.usefixtures("whole")
def test_every_problem_is_listed_not_only_the_first(checked, submission):
    folder = submission("sintel")
    shutil.rmtree(folder / "clean")
    (folder / "final" / "ambush_9").mkdir()
    for name in ("final/ambush_1/frame_0001.png", "final/ambush_9/frame0001.flo", ".DS_Store"):
        (folder / name).write_bytes(b"-")
    truncated(folder / FILES["sintel"][2])
    rewritten(with_nan, write_flo)(folder / FILES["sintel"][3])
    ended = checked("data=sintel", f"submission={folder}")
    assert ended.code == 1
    lines = [line.strip() for line in ended.stdout.splitlines()]
    assert lines[1:4] == ["missing: 2", *(f"clean/ambush_{n}/ (1): frame0001.flo" for n in (1, 2))]
    unexpected = ["./ (1): .DS_Store", "final/ambush_1/ (1): frame_0001.png", "final/ambush_9/ (1): frame0001.flo"]
    assert lines[4:8] == ["unexpected: 3", *unexpected]
    assert lines[8] == "wrong: 2"
    assert "2 missing, 3 unexpected, 2 wrong" in ended.told


@pytest.mark.usefixtures("whole")
def test_values_that_nobody_would_want_are_doubtful_only(checked, submission):
    folder = submission("sintel")
    first, second, *_ = FILES["sintel"]
    rewritten(np.zeros_like)(folder / first)
    rewritten(lambda flow: flow + 2000)(folder / second)
    ended = checked("data=sintel", f"submission={folder}")
    assert ended.code == 0, ended.told
    assert f"doubtful: 2 {folder / first}: no motion anywhere" in ended.told
    assert re.search(rf"{re.escape(str(folder / second))}: values up to 201\d px", ended.told)


@pytest.mark.usefixtures("whole")
def test_a_picture_that_cannot_be_read_does_not_end_the_check(checked, submission, trees, tmp_path):
    shutil.copytree(trees / "KITTI", tmp_path / "KITTI")
    truncated(tmp_path / "KITTI/testing/image_2/000000_10.png")
    folder = submission("kitti")
    in_8_bits(folder / FILES["kitti"][1])
    ended = checked("data=kitti", f"submission={folder}", f"paths.kitti={tmp_path}/KITTI")
    assert ended.code == 1
    assert "image_2/000000_10.png: truncated" in ended.told
    assert "0 missing, 0 unexpected, 2 wrong" in ended.told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data=sintel"], "No folder was given: add submission="),
        (["submission=."], "No data set was given: add data="),
        (["data=sintel", "submission=gone"], "There is no folder 'gone'"),
        (["data=chairs", "submission=."], "No server takes results on data=chairs"),
        (["data=[sintel,kitti]", "submission=."], "one data set at a time"),
        (["data=kitti", "submission=.", "paths.kitti=gone"], "KITTI 2015: there is no folder 'gone'"),
    ],
)
def test_a_mistake_is_one_sentence(checked, words, sentence):
    ended = checked(*words)
    assert (ended.code, ended.stderr.count("error:")) == (1, 1)
    assert sentence in ended.told
