"""The doctor, on small trees in the data sets' own formats, whole and damaged."""

import json
import shutil

import numpy as np
import pytest
from support.runs import rows, run_here

from flowbench.data.pair_files import PairPaths
from flowbench.data.sample_trees import TREES, is_measured, scenes, write_tree
from flowbench.engine.checks.inventory import Listing
from flowbench.engine.checks.pairs import check_pair
from flowbench.engine.doctor import doctor
from flowbench.io import read_flow, write_flow, write_image

PAIRS, SIZE = 3, (32, 48)
ROOTS = {
    "chairs": "FlyingChairs_release",
    "sintel": "Sintel",
    "kitti": "KITTI",
    "hd1k": "HD1K",
    "things": "FlyingThings3D",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder that holds all data sets of the mix, undamaged."""
    folder = tmp_path_factory.mktemp("datasets")
    for name, root in ROOTS.items():
        write_tree(name, folder / root, pairs=PAIRS, size=SIZE)
    return folder


@pytest.fixture
def chairs(whole, tmp_path):
    """A copy of FlyingChairs, to damage."""
    return shutil.copytree(whole / ROOTS["chairs"], tmp_path / "chairs") / "data"


@pytest.fixture
def examine(whole, tmp_path, monkeypatch):
    """Runs the doctor; gives how it ended, and what it wrote: figures and problems."""
    monkeypatch.setenv("FLOWBENCH_DATA", str(whole))

    def run(*words, folder="run", workers=0):
        folder = tmp_path / folder
        ended = run_here(doctor, "doctor", *words, f"workers={workers}", f"hydra.run.dir={folder}")
        figures = json.loads((folder / "doctor.json").read_text())
        problems = folder / "problems.csv"
        return ended, figures, rows(problems) if problems.exists() else []

    return run


def by_use(figures):
    return {use: each for each in figures["sets"] for use in each["used as"]}


def damage(chairs):
    """Each kind of damage once, two of them to one pair; what should be said of each file."""
    flow, _ = read_flow(chairs / "00003_flow.flo")
    flow_bytes = (chairs / "00003_flow.flo").read_bytes()
    (chairs / "00001_img1.ppm").write_bytes(b"")
    (chairs / "00001_flow.flo").write_bytes(flow_bytes[:-40])
    write_image(chairs / "00002_img2.ppm", np.zeros((20, 48, 3), np.uint8))
    (chairs / "00003_flow.flo").write_bytes(flow_bytes[:12] + np.full_like(flow, np.nan).tobytes())
    (chairs / "00004_img1.ppm").unlink()
    (chairs / "00005_img1.ppm").write_text("<html>not found</html>")
    return {
        "00001_img1.ppm": "the file is empty",
        "00001_flow.flo": "truncated",
        "00002_img2.ppm": "is 48x20, but the other files of its pair are 48x32",
        "00003_flow.flo": f"no pixel's flow is known, and {flow.size} of its values are not finite",
        "00004_img1.ppm": "no such file",
        "00005_img1.ppm": "no image of a known format",
    }


def test_a_whole_tree_has_no_problems_and_fewer_pairs_than_published_are_no_error(examine):
    ended, figures, problems = examine("data=chairs")
    assert (ended.code, problems) == (0, [])
    train, val = figures["sets"]
    assert train["used as"] == ["train/chairs"]
    assert val["used as"] == ["val", "test/chairs"]
    assert [train[name] for name in ("pairs", "found", "published", "readable")] == [PAIRS, PAIRS, 22_232, PAIRS]
    assert train["completeness"] == f"{22_232 - PAIRS} missing"
    assert train["sizes"] == {"48x32": PAIRS}
    assert f"{PAIRS} of 22232: {22_232 - PAIRS} missing" in ended.told


@pytest.mark.parametrize("name", [name for name in TREES if name not in ("folder", "things_subset")])
def test_warping_finds_nothing_wrong_with_the_sample_trees(examine, tmp_path, name):
    write_tree(name, tmp_path / name, pairs=5, size=(64, 80))
    ended, figures, problems = examine(f"data={name}", f"paths.{name}={tmp_path / name}")
    own = [each for each in figures["sets"] if each["root"] == str(tmp_path / name)]
    assert not [problem for problem in problems if "warped" in problem["problem"]], ended.told
    warped = [each["after warping (median)"] for each in own if each["after warping (median)"] is not None]
    assert warped
    assert max(warped) < 0.7


def test_the_figures_are_those_of_the_truth(examine):
    _, figures, _ = examine("data=kitti")
    found = by_use(figures)["train/kitti"]
    samples = [scenes("train", PAIRS, SIZE, {}).pair(number).forward for number in range(PAIRS)]
    known = [is_measured(sample) for sample in samples]
    lengths = np.concatenate([np.linalg.norm(sample.flow[mask], axis=-1) for sample, mask in zip(samples, known)])
    hidden = sum((sample.occluded & mask).sum() for sample, mask in zip(samples, known))
    # KITTI's format rounds each component to 1/64 px.
    assert found["longest flow"] == pytest.approx(lengths.max(), abs=0.02)
    assert found["mean |flow|"] == pytest.approx(lengths.mean(), abs=0.02)
    assert found["occluded"] == pytest.approx(hidden / len(lengths))
    assert found["valid (mean)"] == pytest.approx(np.mean(known))
    assert found["valid (least)"] == pytest.approx(min(mask.mean() for mask in known))
    assert by_use(figures)["submission/kitti"]["mean |flow|"] is None


def test_every_bad_file_is_listed_in_one_run(examine, chairs):
    expected = damage(chairs)
    ended, figures, problems = examine("data=chairs", f"paths.chairs={chairs.parent}")
    assert {problem["file"] for problem in problems} == {str(chairs / name) for name in expected}
    for name, what in expected.items():
        (found,) = [problem for problem in problems if problem["file"] == str(chairs / name)]
        assert what in found["problem"]
        assert found["level"] == "error"
        assert f"error: {found['file']}: {found['problem']}" in ended.told
    assert by_use(figures)["train/chairs"]["errors"] == 4
    assert by_use(figures)["val"]["readable"] == PAIRS - 2
    assert ended.code == 1
    assert "error: 6 files are bad" in ended.told


def test_the_number_of_workers_changes_nothing(examine, chairs):
    damage(chairs)
    runs = [
        examine("data=chairs", f"paths.chairs={chairs.parent}", folder=str(workers), workers=workers)
        for workers in (0, 2)
    ]
    assert runs[0][1:] == runs[1][1:]
    assert runs[1][0].code == 1


def test_strange_flow_is_a_warning(examine, chairs):
    header = (chairs / "00001_flow.flo").read_bytes()[:12]
    flow, _ = read_flow(chairs / "00001_flow.flo")
    flow[0, 0] = np.nan
    (chairs / "00001_flow.flo").write_bytes(header + flow.tobytes())
    flow[0, 0] = (300, 400)
    write_flow(chairs / "00002_flow.flo", flow)
    ended, figures, problems = examine("data=chairs", f"paths.chairs={chairs.parent}")
    assert ended.code == 0
    assert [(problem["level"], problem["problem"]) for problem in problems] == [
        ("warning", "2 values of the flow are not finite; their pixels count as unknown"),
        ("warning", "flow of 500 px, longer than the image's diagonal of 58 px"),
    ]
    found = by_use(figures)["train/chairs"]
    assert (found["warnings"], found["errors"], found["longest flow"]) == (2, 0, 500)
    assert found["valid (least)"] == pytest.approx(1 - 1 / (32 * 48))


def test_a_missing_root_is_told_with_its_tree_and_the_other_sets_go_on(examine, tmp_path):
    ended, figures, problems = examine("data=[chairs,kitti]", f"paths.kitti={tmp_path / 'nowhere'}")
    assert ended.code == 1
    assert f"there is no folder '{tmp_path / 'nowhere'}'" in ended.told
    assert "Set paths.kitti=<folder>" in ended.told
    assert "training/image_2/000000_10.png, 000000_11.png" in ended.told
    assert "error: 1 of 3 data sets cannot be listed: " in ended.told
    assert by_use(figures)["chairs train/chairs"]["readable"] == PAIRS
    assert figures["mixes"]["kitti"]["pairs a pass"] is None
    assert [problem["file"] for problem in problems] == [str(tmp_path / "nowhere")]


def test_a_mix_is_counted_with_its_repetitions_and_each_listing_is_told_once(examine):
    ended, figures, _ = examine("data=sintel")
    mix = figures["mixes"]["sintel"]
    # Things: both directions.
    assert [part["pairs a pass"] for part in mix["parts"]] == [300, 300, 600, 15, 6]
    assert mix["pairs a pass"] == 1221
    assert "A training pass over sintel: 1221 pairs" in ended.told
    assert [each["used as"] for each in figures["sets"]] == [
        ["train/sintel_clean x100", "test/clean"],
        ["train/sintel_final x100", "test/final"],
        ["train/kitti x200"],
        ["train/hd1k x5"],
        ["train/things"],
        ["val"],
        ["submission/clean"],
        ["submission/final"],
    ]
    assert by_use(figures)["train/things"]["tree"] == "full"
    assert ended.code == 0


def test_a_quick_look_opens_some_pairs_and_still_misses_no_file(examine, chairs):
    (chairs / "00002_flow.flo").unlink()
    write_image(chairs / "00003_img2.ppm", np.zeros((20, 48, 3), np.uint8))
    ended, figures, problems = examine("data=chairs", f"paths.chairs={chairs.parent}", "at_most=1")
    assert [problem["file"] for problem in problems] == [str(chairs / "00002_flow.flo")]
    assert by_use(figures)["train/chairs"]["readable"] == 1
    assert by_use(figures)["train/chairs"]["pairs"] == PAIRS
    assert ended.code == 1


def test_a_bad_picture_between_two_pairs_is_one_problem(examine, tmp_path):
    for number in (1, 2, 3):
        write_image(tmp_path / f"frames/{number}.png", np.zeros((20 if number == 2 else 32, 48, 3), np.uint8))
        write_flow(tmp_path / f"flow/{number}.flo", np.zeros((32, 48, 2), np.float32))
    words = (f"data.images='{tmp_path}/frames/*.png'", f"data.flow='{tmp_path}/flow/*.flo'")
    ended, figures, problems = examine("data=folder", *words)
    assert [(problem["file"], problem["problem"], problem["set"]) for problem in problems] == [
        (str(tmp_path / "frames/2.png"), "is 48x20, but the other files of its pair are 48x32", "train/folder")
    ]
    assert "error: 1 file is bad" in ended.told
    (found,) = figures["sets"]
    assert (found["errors"], found["readable"], found["completeness"]) == (1, 0, None)


def test_built_in_scenes_are_drawn(examine):
    ended, figures, _ = examine("data=synthetic", "data.scenes.size=[64,64]", "at_most=2")
    assert ended.code == 0
    assert [each["readable"] for each in figures["sets"]] == [2, 2, 2]
    assert [each["pairs"] for each in figures["sets"]] == [1_000_000, 200, 500]
    assert figures["sets"][0]["sizes"] == {"64x64": 2}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "No data was named: add data=<name>, or data=[<name>,<name>]."),
        (("data=chairs", "at_most=0"), "at_most=0: a whole number above zero"),
        (("data=chairs", "workers=-1"), "workers=-1: a whole number from 0 up is needed"),
    ],
)
def test_a_wrong_word_ends_in_a_sentence(words, told, whole, tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWBENCH_DATA", str(whole))
    ended = run_here(doctor, "doctor", *words, f"hydra.run.dir={tmp_path}")
    assert ended.code == 1
    assert told in ended.told


def test_all_kinds_of_files_of_a_pair_are_tried_apart(whole):
    root = whole / "Sintel/training"
    paths = PairPaths(
        key="pair",
        image1=root / "nothing.png",
        image2=root / "clean/alley_1/frame_0002.png",
        flow=whole / "KITTI/training/flow_occ/000000_10.png",
        visible=root / "no_flow.png",
        occluded=root / "occlusions/nothing.png",
        invalid=root / "no_mask.npy",
        flow_step=2,
    )
    problems = {problem.file: problem.what for problem in check_pair(paths, opened=True).problems}
    missing = dict.fromkeys(map(str, (paths.image1, paths.visible, paths.occluded, paths.invalid)))
    assert {file for file, what in problems.items() if what == "no such file. Check the path."} == set(missing)
    assert problems[str(paths.flow)] == "is 24x16, but the other files of its pair are 48x32"
    assert len(problems) == 5


@pytest.mark.parametrize(
    ("found", "published", "told"),
    [(200, 200, "complete"), (199, 200, "1 missing"), (202, 200, "2 more"), (200, None, None)],
)
def test_pairs_are_compared_with_those_published(found, published, told):
    assert Listing("KITTI", ("val",), None, found=found, published=published).completeness == told
