"""The field's data sets: every listed pair is the scene that its tree was drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from flowbench.data.pair_files import PairFiles
from flowbench.data.sample_trees import TREES, is_measured, scenes, write_tree
from flowbench.data.sets.chairs import Chairs
from flowbench.data.sets.folder import Folder
from flowbench.data.sets.hd1k import Hd1k
from flowbench.data.sets.kitti import Kitti, Kitti2012
from flowbench.data.sets.middlebury import Middlebury
from flowbench.data.sets.sintel import Sintel
from flowbench.data.sets.spring import Spring
from flowbench.data.sets.tartanair import TartanAir
from flowbench.data.sets.things import Things
from flowbench.errors import FlowBenchError
from flowbench.structures import FlowSample

PAIRS, SIZE = 2, (32, 48)
# KITTI's format rounds to 1/64 px.
ROUNDING = 1 / 128


@dataclass(frozen=True)
class Case:
    """A data set on its tree, and the scene that each pair shows: (key, split, number, clean, backward)."""

    tree: str
    make: Callable[[Path], PairFiles]
    pairs: list[tuple[str, str, int, bool, bool]]
    sparse: bool = False
    occluded: bool = False


def keys(key: Callable[[int], str], split: str, *, clean: bool = False, backward: bool = False, first: int = 0):
    """The pairs of one split, pass, direction and camera. key: of the pair that is number n, from 0."""
    return [(key(n), split, first + n, clean, backward) for n in range(PAIRS)]


def things_case(tree: str, split: str, future: Callable[[int], str], past: Callable[[int], str]) -> Case:
    """future, past: what the keys of the pair that is number n end in, from the video on."""
    pairs = []
    for pass_name in ("clean", "final"):
        for end in (future, past):
            key = partial(lambda start, end, n: f"{start}/{end(n)}", f"things/{pass_name}/{split}", end)
            pairs += keys(key, split, clean=pass_name == "clean", backward=end is past)
    return Case(tree, partial(Things, split=split), pairs)


FULL = (lambda n: f"{'AB'[n]}/0000/into_future/0006", lambda n: f"{'AB'[n]}/0000/into_past/0007")
SUBSET = (lambda n: f"{2 * n:07d}/into_future/{2 * n:07d}", lambda n: f"{2 * n:07d}/into_past/{2 * n + 1:07d}")

CASES = {
    "chairs": Case("chairs", partial(Chairs, split="train"), keys(lambda n: f"chairs/{n + 1:05d}", "train")),
    "chairs val": Case("chairs", partial(Chairs, split="val"), keys(lambda n: f"chairs/{n + 3:05d}", "val")),
    "things": things_case("things", "train", *FULL),
    "things test": things_case("things", "test", *FULL),
    "things subset": things_case("things_subset", "train", *SUBSET),
    "things subset test": things_case("things_subset", "test", *SUBSET),
    "sintel": Case(
        "sintel",
        partial(Sintel, split="train"),
        keys(lambda n: f"sintel/clean/alley_{n + 1}/frame_0001", "train", clean=True)
        + keys(lambda n: f"sintel/final/alley_{n + 1}/frame_0001", "train"),
        occluded=True,
    ),
    "kitti": Case(
        "kitti",
        partial(Kitti, split="train"),
        keys(lambda n: f"kitti/training/{n:06d}_10", "train"),
        sparse=True,
        occluded=True,
    ),
    "kitti2012": Case(
        "kitti2012",
        partial(Kitti2012, split="train"),
        keys(lambda n: f"kitti2012/training/{n:06d}_10", "train"),
        sparse=True,
        occluded=True,
    ),
    "hd1k": Case("hd1k", Hd1k, keys(lambda n: f"hd1k/{n:06d}/0010", "train"), sparse=True),
    "middlebury": Case("middlebury", Middlebury, keys(lambda n: f"middlebury/Scene{n + 1}/frame10", "test")),
    "spring": Case(
        "spring",
        partial(Spring, split="train", cameras=["left", "right"], directions=["future", "past"]),
        keys(lambda n: f"spring/{n + 1:04d}/flow_FW_left/0001", "train")
        + keys(lambda n: f"spring/{n + 1:04d}/flow_BW_left/0002", "train", backward=True)
        + keys(lambda n: f"spring/{n + 1:04d}/flow_FW_right/0001", "train", first=PAIRS)
        + keys(lambda n: f"spring/{n + 1:04d}/flow_BW_right/0002", "train", backward=True, first=PAIRS),
    ),
    "tartanair": Case(
        "tartanair", TartanAir, keys(lambda n: f"tartanair/office/{('Easy', 'Hard')[n]}/P000/000000", "train")
    ),
    "folder": Case(
        "folder",
        lambda root: Folder(f"{root}/frames/*/*.png", flow=f"{root}/flow/*/*.flo"),
        keys(lambda n: f"folder/video_{n + 1}/1", "train"),
    ),
}
WITHOUT_TRUTH = {
    "sintel": (partial(Sintel, split="test"), 2 * PAIRS),
    "kitti": (partial(Kitti, split="test"), PAIRS),
    "kitti2012": (partial(Kitti2012, split="test"), PAIRS),
    "spring": (partial(Spring, split="test", cameras=["left", "right"], directions=["future", "past"]), 4 * PAIRS),
}
ON_A_ROOT = {name: case.make for name, case in CASES.items() if name != "folder"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The root of a data set's sample tree, written once."""
    roots: dict[str, Path] = {}

    def written(name: str) -> Path:
        if name not in roots:
            roots[name] = tmp_path_factory.mktemp(name)
            write_tree(name, roots[name], pairs=PAIRS, size=SIZE)
        return roots[name]

    return written


def touched(root: Path, *names: str) -> Path:
    """A root with these files, all empty: enough for a listing."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def listed(samples: PairFiles) -> list[str]:
    return [pair.key for pair in samples.pairs]


def scene(split: str, number: int, clean: bool, backward: bool) -> FlowSample:
    pair = scenes(split, PAIRS, SIZE, None if clean else {}).pair(number)
    return pair.backward if backward else pair.forward


@pytest.mark.parametrize("name", CASES)
def test_every_pair_is_the_scene_that_it_was_drawn_from(name, tree):
    case = CASES[name]
    samples = case.make(tree(case.tree))
    assert listed(samples) == [key for key, *_ in case.pairs]
    assert len(samples) == len(case.pairs)
    assert samples.sparse == case.sparse
    for index, (key, *shown) in enumerate(case.pairs):
        check_pair(case, samples[index], replace(scene(*shown), key=key))


def check_pair(case: Case, found: FlowSample, drawn: FlowSample) -> None:
    assert found.key == drawn.key
    np.testing.assert_array_equal(found.image1, drawn.image1)
    np.testing.assert_array_equal(found.image2, drawn.image2)
    valid = np.ones(SIZE, bool)
    if case.sparse or case.tree == "middlebury":
        valid = is_measured(drawn)
    if case.tree == "tartanair":
        valid = ~drawn.occluded
    np.testing.assert_array_equal(found.valid, valid)
    assert valid.mean() > 0.3
    np.testing.assert_allclose(found.flow[valid], drawn.flow[valid], rtol=0, atol=ROUNDING if case.sparse else 0)
    assert np.abs(drawn.flow[valid]).max() > 10 * ROUNDING
    if case.occluded:
        np.testing.assert_array_equal(found.occluded, drawn.occluded & valid)
    else:
        assert found.occluded is None


@pytest.mark.parametrize("name", WITHOUT_TRUTH)
def test_pairs_whose_truth_a_server_keeps_are_listed_without(name, tree):
    make, count = WITHOUT_TRUTH[name]
    samples = make(tree(name))
    assert len(samples) == len(set(listed(samples))) == count
    assert all(pair.flow is None and len(pair.files) == 2 for pair in samples.pairs)
    assert not samples[0].valid.any()
    assert (samples[0].image1 != samples[0].image2).any()


def test_every_sample_tree_is_a_data_set_that_is_tested():
    assert {case.tree for case in CASES.values()} == set(TREES)
    with pytest.raises(FlowBenchError, match="No sample tree is called 'sintle': choose of chairs, things"):
        write_tree("sintle", "nowhere")


@pytest.mark.parametrize("name", ON_A_ROOT)
def test_a_missing_root_is_an_error_with_the_key_and_the_tree(name, tmp_path):
    samples = ON_A_ROOT[name](tmp_path / "not_there")
    with pytest.raises(FlowBenchError, match="not_there") as raised:
        len(samples)
    assert f"{samples.root_key}=<folder>" in str(raised.value)
    assert samples.tree in str(raised.value)


@pytest.mark.parametrize("name", ON_A_ROOT)
def test_an_empty_root_is_an_error_with_the_tree(name, tmp_path):
    samples = ON_A_ROOT[name](tmp_path)
    with pytest.raises(FlowBenchError, match=str(tmp_path)) as raised:
        len(samples)
    if name.startswith("chairs"):
        assert "FlyingChairs_train_val.txt" in str(raised.value)
    else:
        assert samples.tree in str(raised.value)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("things", "frames_finalpass/TRAIN"),
        ("things subset", "train/image_final/left"),
        ("things subset", "train/flow/left/into_past"),
        ("sintel", "training/final"),
        ("spring", "train/0002/frame_right"),
        ("hd1k", "hd1k_flow_gt/flow_occ"),
        ("middlebury", "other-gt-flow"),
    ],
)
def test_half_a_data_set_is_an_error_and_not_a_small_one(name, missing, tmp_path):
    write_tree(CASES[name].tree, tmp_path, pairs=2, size=(16, 16))
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(FlowBenchError, match=f"there is no folder '{tmp_path / missing}'"):
        len(CASES[name].make(tmp_path))


@pytest.mark.parametrize(
    ("samples", "count"),
    [
        (Chairs("", split="train"), 22_232),
        (Chairs("", split="val"), 640),
        (Sintel("", split="train", passes="clean"), 1_041),
        (Sintel("", split="test"), 1_104),
        (Kitti("", split="train"), 200),
        (Kitti("", split="test"), 200),
        (Kitti2012("", split="train"), 194),
        (Kitti2012("", split="test"), 195),
        (Middlebury(""), 8),
        (Hd1k(""), None),
        (Spring("", split="train", cameras=["left", "right"], directions=["future", "past"]), 19_852),
        (Spring("", split="test", cameras=["left", "right"], directions=["future", "past"]), 3_960),
        (Spring("", split="train", leave_out=["0041"]), None),
    ],
)
def test_counts_are_the_published_ones(samples, count):
    assert samples.published_count() == count


def test_the_counts_of_things_depend_on_the_tree(tree):
    assert Things(tree("things"), split="train").published_count() == 80_604
    assert Things(tree("things"), split="train", passes="clean").published_count() == 40_302
    assert Things(tree("things_subset"), split="train").published_count() is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Chairs("", split="test"), "FlyingChairs has no split 'test': choose train or val"),
        (lambda: Sintel("", split="training"), "MPI Sintel has no split 'training': choose train or test"),
        (lambda: Sintel("", split="train", passes="albedo"), "passes=albedo: choose of clean, final"),
        (lambda: Things("", split="train", passes=[]), r"passes=\[\]: choose of clean, final"),
        (lambda: Things("", split="train", directions=["past", "past"]), "choose of future, past, each once"),
        (lambda: Spring("", split="train", cameras="middle"), "cameras=middle: choose of left, right"),
        (lambda: TartanAir("", difficulties=["easy"]), r"difficulties=\['easy'\]: choose of Easy, Hard"),
        (lambda: Hd1k("", at_most=0), "HD1K: at_most=0: a whole number above zero"),
    ],
)
def test_an_option_that_makes_no_sense_names_itself(make, message):
    with pytest.raises(FlowBenchError, match=message):
        make()


def test_the_trees_of_things_are_told_apart(tree, tmp_path):
    assert Things(tree("things"), split="train").tree_found == "full"
    assert Things(tree("things_subset"), split="train").tree_found == "subset"
    with pytest.raises(FlowBenchError, match="neither of its two trees"):
        _ = Things(tmp_path, split="train").tree_found


def test_things_pairs_frames_of_one_video_only(tmp_path):
    videos = {"A/0000": (6, 7, 8), "A/0001": (6, 8), "B/0000": (14, 15)}
    for video, frames in videos.items():
        names = [f"frames_cleanpass/TRAIN/{video}/left/{frame:04d}.png" for frame in frames]
        touched(tmp_path, *names, f"optical_flow/TRAIN/{video}/into_future/left/OpticalFlowIntoFuture_0015_L.pfm")
    samples = Things(tmp_path, split="train", passes="clean", directions="future")
    ends = [(pair.image1.stem, pair.image2.stem, pair.flow.name) for pair in samples.pairs]
    assert ends == [
        ("0006", "0007", "OpticalFlowIntoFuture_0006_L.pfm"),
        ("0007", "0008", "OpticalFlowIntoFuture_0007_L.pfm"),
        ("0014", "0015", "OpticalFlowIntoFuture_0014_L.pfm"),
    ]
    past = Things(tmp_path, split="train", passes="clean", directions="past").pairs[0]
    assert (past.image1.stem, past.image2.stem, past.flow.name) == ("0007", "0006", "OpticalFlowIntoPast_0007_L.pfm")


def test_the_subset_of_things_pairs_frames_between_which_flow_leads_there_and_back(tmp_path):
    # Videos of the frames 0 to 2 and 3 to 4; and frame 6, after one that was left out.
    names = [f"train/image_clean/left/{frame:07d}.png" for frame in (0, 1, 2, 3, 4, 6)]
    future = [f"train/flow/left/into_future/{frame:07d}.flo" for frame in (0, 1, 2, 3)]
    past = [f"train/flow/left/into_past/{frame:07d}.flo" for frame in (1, 2, 4, 6)]
    touched(tmp_path, *names, *future, *past)
    samples = Things(tmp_path, split="train", passes="clean")
    assert listed(samples) == [
        "things/clean/train/0000000/into_future/0000000",
        "things/clean/train/0000000/into_future/0000001",
        "things/clean/train/0000003/into_future/0000003",
        "things/clean/train/0000000/into_past/0000001",
        "things/clean/train/0000000/into_past/0000002",
        "things/clean/train/0000003/into_past/0000004",
    ]
    assert samples.pairs[3].flow.parts[-2:] == ("into_past", "0000001.flo")


@pytest.mark.parametrize(
    ("name", "flows", "made"),
    [
        ("things", "optical_flow/TRAIN/*/*/*/left/*.pfm", partial(Things, split="train", passes="clean")),
        ("hd1k", "hd1k_flow_gt/flow_occ/*.png", Hd1k),
    ],
)
def test_the_flow_of_a_last_frame_makes_no_pair(tree, name, flows, made):
    """Half of the flow files lead out of their sequences of two frames, as in the real sets."""
    root = tree(name)
    samples = made(root)
    assert len(list(root.glob(flows))) == 2 * len(samples) > 0
    assert all(path.is_file() for pair in samples.pairs for path in pair.files)


def test_sintel_marks_invalid_pixels_where_that_is_asked(tree):
    official = Sintel(tree("sintel"), split="train", passes="clean")[0]
    without = Sintel(tree("sintel"), split="train", passes="clean", invalid=True)[0]
    assert official.valid.all()
    np.testing.assert_array_equal(without.valid, is_measured(official))
    np.testing.assert_array_equal(without.flow, official.flow)


def test_sintel_and_spring_pair_frames_without_a_gap(tmp_path):
    touched(tmp_path, *(f"test/clean/tiger/frame_{frame:04d}.png" for frame in (1, 2, 3, 5, 6)))
    assert listed(Sintel(tmp_path, split="test", passes="clean")) == [
        f"sintel/clean/tiger/frame_{frame:04d}" for frame in (1, 2, 5)
    ]
    touched(tmp_path, *(f"train/0001/frame_left/frame_left_{frame:04d}.png" for frame in (1, 2, 3)))
    past = Spring(tmp_path, split="train", directions="past").pairs
    assert [(pair.image1.stem, pair.image2.stem, pair.flow.name) for pair in past] == [
        ("frame_left_0003", "frame_left_0002", "flow_BW_left_0003.flo5"),
        ("frame_left_0002", "frame_left_0001", "flow_BW_left_0002.flo5"),
    ]


def test_kitti_takes_frame_10_of_each_video(tmp_path):
    touched(tmp_path, *(f"testing/image_2/00000{n}_{frame:02d}.png" for n in (0, 1) for frame in (9, 10, 11, 12)))
    pairs = Kitti(tmp_path, split="test").pairs
    assert [(pair.image1.name, pair.image2.name) for pair in pairs] == [
        ("000000_10.png", "000000_11.png"),
        ("000001_10.png", "000001_11.png"),
    ]


def test_kitti_without_flow_noc_does_not_say_what_is_occluded(tmp_path):
    write_tree("kitti", tmp_path, pairs=1, size=(16, 16))
    (tmp_path / "training/flow_noc").rename(tmp_path / "elsewhere")
    sample = Kitti(tmp_path, split="train")[0]
    assert sample.occluded is None
    assert sample.valid.any()


def test_hd1k_pairs_frames_of_one_sequence_only(tmp_path):
    frames = [(0, 10), (0, 11), (0, 12), (1, 13), (1, 15), (2, 9), (2, 10)]
    touched(tmp_path, *(f"hd1k_input/image_2/{seq:06d}_{frame:04d}.png" for seq, frame in frames))
    (tmp_path / "hd1k_flow_gt/flow_occ").mkdir(parents=True)
    assert listed(Hd1k(tmp_path)) == ["hd1k/000000/0010", "hd1k/000000/0011", "hd1k/000002/0009"]


def test_spring_leaves_out_sequences_to_validate_on(tree):
    make = partial(Spring, tree("spring"), split="train")
    assert listed(make(leave_out=["0001"])) == listed(make(sequences=["0002"])) == ["spring/0002/flow_FW_left/0001"]
    with pytest.raises(FlowBenchError, match="Spring's sequences: no '0007' among 0001, 0002"):
        len(make(leave_out=["0007"]))


def test_every_mark_of_tartanair_is_invalid(tmp_path):
    write_tree("tartanair", tmp_path, pairs=1, size=(16, 16))
    mask = np.zeros((16, 16), np.uint8)
    mask[0, :3] = 1, 10, 100
    np.save(next(tmp_path.rglob("*_mask.npy")), mask)
    np.testing.assert_array_equal(TartanAir(tmp_path)[0].valid, mask == 0)


def test_tartanair_may_be_unpacked_one_folder_deeper(tmp_path):
    write_tree("tartanair", tmp_path / "office", pairs=2, size=(16, 16))
    assert [len(TartanAir(tmp_path)), len(TartanAir(tmp_path / "office"))] == [2, 2]
    assert listed(TartanAir(tmp_path)) == listed(TartanAir(tmp_path / "office"))


def test_tartanair_leaves_out_places_and_difficulties(tree):
    root = tree("tartanair")
    assert listed(TartanAir(root, difficulties="Hard")) == ["tartanair/office/Hard/P000/000000"]
    with pytest.raises(FlowBenchError, match="no pairs"):
        len(TartanAir(root, leave_out=["office"]))
    with pytest.raises(FlowBenchError, match="TartanAir's environments: no 'ocean' among office"):
        len(TartanAir(root, environments=["ocean"]))
