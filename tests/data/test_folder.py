"""A user's own pictures and flow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from support.hydra import composed

from flowbench.configs import build, config_folder
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.sample_trees import write_tree
from flowbench.data.sets.folder import Folder
from flowbench.data.spatial import RandomScale
from flowbench.errors import FlowBenchError


@pytest.fixture(autouse=True)
def own_files(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def ends(samples: Folder) -> list[tuple[str, str, str | None]]:
    return [
        (str(pair.image1), str(pair.image2), None if pair.flow is None else str(pair.flow)) for pair in samples.pairs
    ]


def folder_data(*overrides: str) -> FlowDataModule:
    """What conf/data/folder.yaml says; its keys as on the command line, without the leading "data."."""
    config = OmegaConf.load(config_folder() / "data/folder.yaml")
    OmegaConf.set_struct(config, True)
    config.merge_with_dotlist(list(overrides))
    return build(config, crop=(32, 40))


def test_pictures_pair_up_in_natural_order():
    touch("frames/9.png", "frames/10.png", "frames/2.png", "frames/notes.txt", "flow/9.flo", "flow/2.flo")
    samples = Folder("frames/*", flow="flow/*.flo")
    assert ends(samples) == [
        ("frames/2.png", "frames/9.png", "flow/2.flo"),
        ("frames/9.png", "frames/10.png", "flow/9.flo"),
    ]
    assert [pair.key for pair in samples.pairs] == ["folder/2", "folder/9"]


def test_a_folder_is_as_good_as_a_pattern():
    touch("my [best] frames/1.png", "my [best] frames/2.png")
    assert ends(Folder("my [best] frames")) == [("my [best] frames/1.png", "my [best] frames/2.png", None)]


def test_each_folder_is_a_sequence_of_its_own():
    touch(*(f"videos/{name}/{frame}.png" for name in ("a", "b") for frame in (1, 2, 3)))
    touch(*(f"flow/{name}/{frame}.flo" for name in ("a", "b") for frame in (1, 2)))
    samples = Folder("videos/*/*.png", flow="flow/*/*.flo")
    assert [pair.key for pair in samples.pairs] == [f"folder/{name}/{frame}" for name in ("a", "b") for frame in (1, 2)]
    assert ends(samples)[2] == ("videos/b/1.png", "videos/b/2.png", "flow/b/1.flo")


def test_the_flow_of_the_last_picture_is_not_used():
    touch("1.png", "2.png", "flow/1.flo", "flow/2.flo")
    assert ends(Folder("*.png", flow="flow/*.flo")) == [("1.png", "2.png", "flow/1.flo")]


def test_second_pictures_with_names_of_their_own_match_in_order():
    touch(*(f"data/{number}_{part}" for number in (7, 10) for part in ("a.ppm", "b.ppm", "flow.flo")))
    samples = Folder("data/*_a.ppm", second="data/*_b.ppm", flow="data/*_flow.flo")
    assert ends(samples) == [
        (f"data/{number}_a.ppm", f"data/{number}_b.ppm", f"data/{number}_flow.flo") for number in (7, 10)
    ]


@pytest.mark.parametrize(("pattern", "sparse"), [("flow/*.png", True), ("flow/*.npz", True), ("flow/*.PFM", False)])
def test_the_format_of_the_flow_says_whether_it_is_sparse(pattern, sparse):
    assert Folder("*.png", flow=pattern).sparse is sparse


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        (
            ["a/1.png", "a/2.png", "a/3.png", "a/4.png", "a/5.png", "f/1.flo", "f/2.flo", "f/3.flo"],
            {"images": "a/*.png", "flow": "f/*.flo"},
            "5 pictures in 'a' give 4 pairs, but 3 flow files in 'f' match data.flow=f/*.flo: one a pair is needed",
        ),
        (
            ["a/1.png", "a/2.png", "b/1.png", "b/2.png", "f/1.flo", "f/2.flo"],
            {"images": "?/*.png", "flow": "f/*.flo"},
            "lie in 2 folders, the flow files of data.flow=f/*.flo in one folder",
        ),
        (
            ["a/1.png", "a/2.png", "b/1.png"],
            {"images": "a/*.png", "second": "b/*.png"},
            "2 pictures match data.images=a/*.png, but 1 match data.second=b/*.png",
        ),
        (
            ["a/1.png", "b/1.png", "f/1.flo", "f/2.flo"],
            {"images": "a/*.png", "second": "b/*.png", "flow": "f/*.flo"},
            "give as many pairs, but 2 flow files match data.flow=f/*.flo",
        ),
        (["a/1.png"], {"images": "a/*.png"}, "'a' has one picture that matches; a pair needs two"),
        (["a/1.txt"], {"images": "a/*"}, "data.images=a/*: matches no file that ends in .png"),
        (["a/1.png", "a/2.png"], {"images": "a/*", "flow": "f/*.flo"}, "data.flow=f/*.flo: matches no file"),
        ([], {"images": "a/*.png"}, "there is no folder 'a'. Set data.images to what matches your pictures"),
    ],
)
def test_files_that_do_not_match_are_counted(files, arguments, message):
    touch(*files)
    with pytest.raises(FlowBenchError) as raised:
        len(Folder(**arguments))
    assert message in str(raised.value)


def test_flow_files_must_be_told_by_their_suffix():
    with pytest.raises(
        FlowBenchError, match=r"data\.flow=flow/\*: the pattern must end in the suffix of flow files: \.flo"
    ):
        Folder("*.png", flow="flow/*")


def test_a_share_of_the_pairs_is_held_out_from_training():
    touch(*(f"frames/{frame:02d}.png" for frame in range(21)), *(f"flow/{frame:02d}.flo" for frame in range(20)))
    data = folder_data("images='frames/*.png'", "flow='flow/*.flo'", "validation_share=0.1")
    (part,) = data.parts.values()
    trained, held_out = [pair.key for pair in part.samples.pairs], [pair.key for pair in data.val.pairs]
    assert trained == [f"folder/{frame:02d}" for frame in range(18)]
    assert held_out == ["folder/18", "folder/19"]
    assert data.split("test") == {"folder": data.val}
    assert data.counts() == {"train/folder": 18, "val": 2, "test/folder": 2}
    with pytest.raises(FlowBenchError, match="20 pairs: too few to split them"):
        len(folder_data("images='frames/*.png'", "flow='flow/*.flo'", "validation_share=0.01").val)


def test_the_documented_command_line_composes():
    touch("frames/1.png", "frames/2.png", "flow/1.flo")
    config = composed("train", "data=folder", "schedule=synthetic", "data.images=frames/*.png", "data.flow=flow/*.flo")
    assert build(config.data).counts() == {"train/folder": 1, "test/folder": 1}


def test_without_a_share_all_pairs_are_tested():
    touch("frames/1.png", "frames/2.png", "flow/1.flo")
    data = folder_data("images='frames/*.png'", "flow='flow/*.flo'")
    assert data.counts() == {"train/folder": 1, "test/folder": 1}
    with pytest.raises(FlowBenchError, match="no val pairs"):
        data.split("val")


def test_pictures_apart_are_validated_and_tested_on():
    touch(*(f"{split}/{frame}.png" for split in ("a", "b", "c") for frame in (1, 2)))
    touch(*(f"{split}/flow/1.png" for split in ("a", "b", "c")))
    settings = [f"{key}{name}='{split}{rest}'" for key, split in (("", "a"), ("val.", "b"), ("test.", "c"))
                for name, rest in (("images", "/*.png"), ("flow", "/flow/*.png"))]  # fmt: skip
    data = folder_data(*settings)
    assert ends(data.val) == [("b/1.png", "b/2.png", "b/flow/1.png")]
    assert ends(data.test["folder"]) == [("c/1.png", "c/2.png", "c/flow/1.png")]
    assert data.counts() == {"train/folder": 1, "val": 1, "test/folder": 1}


def test_what_is_validated_is_tested_where_nothing_else_is_said():
    touch(*(f"{split}/{frame}.png" for split in ("a", "b") for frame in (1, 2)), "a/flow/1.flo", "b/flow/1.flo")
    data = folder_data("images=a", "flow='a/flow/*.flo'", "val.images=b", "val.flow='b/flow/*.flo'")
    assert data.test["folder"] is data.val
    assert ends(data.val) == [("b/1.png", "b/2.png", "b/flow/1.flo")]


def test_without_flow_there_is_nothing_to_measure():
    touch("frames/1.png", "frames/2.png")
    data = folder_data("images='frames/*.png'")
    assert [len(samples) for samples in data.split("submission").values()] == [1]
    for split in ("train", "test"):
        with pytest.raises(FlowBenchError, match=f"has no {split} pairs"):
            data.split(split)
    with pytest.raises(FlowBenchError, match=r"no flow to validate against: set data\.val\.flow"):
        folder_data("val.images=frames")


def test_the_flow_s_format_chooses_the_augmentation():
    touch("frames/1.png", "frames/2.png", "flow/1.flo", "sparse/1.png")
    dense, sparse = (
        folder_data("images=frames", f"flow='{pattern}'").parts["folder"].augmentations
        for pattern in ("flow/*.flo", "sparse/*.png")
    )
    assert [change.sparse for change in dense if isinstance(change, RandomScale)] == [False]
    assert [change.sparse for change in sparse if isinstance(change, RandomScale)] == [True]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "data=folder needs pictures: data.images="),
        (["flow='f/*.flo'", "test.images=a"], "data.flow has no pictures: set data.images"),
        (["images=a", "validation_share=1.5"], "data.validation_share=1.5: a share from 0 to below 1"),
    ],
)
def test_settings_that_say_too_little_are_errors(overrides, message):
    with pytest.raises(FlowBenchError) as raised:
        folder_data(*overrides)
    assert message in str(raised.value)


def test_the_sample_tree_trains(tmp_path):
    write_tree("folder", tmp_path, pairs=4, size=(40, 56))
    data = folder_data("images='frames/*/*.png'", "flow='flow/*/*.flo'", "validation_share=0.25")
    data.setup("fit")
    sample = data.train[0, 2]
    assert sample.key == "folder/video_3/1"
    assert sample.flow.shape == (32, 40, 2)
    assert np.isfinite(sample.flow).all()
    assert len(data.train) == 3
