"""A user's own pictures and flow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from support.hydra import composed

from flowbench.configs import build, config_folder
from flowbench.data.augmentation.scaling import RandomScale
from flowbench.data.datamodule import FlowDataModule
from flowbench.data.sample_trees import write_tree
from flowbench.data.sets.folder import Folder
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


def test_a_picture_and_the_one_numbered_next_are_a_pair():
    touch("frames/9.png", "frames/10.png", "frames/8.png", "frames/notes.txt", "flow/9.flo", "flow/8.flo")
    samples = Folder("frames/*", flow="flow/*.flo")
    assert ends(samples) == [
        ("frames/8.png", "frames/9.png", "flow/8.flo"),
        ("frames/9.png", "frames/10.png", "flow/9.flo"),
    ]
    assert [pair.key for pair in samples.pairs] == ["folder/8", "folder/9"]
    assert samples.left_out == []


def test_a_missing_picture_or_flow_file_costs_its_own_pairs_only():
    touch(*(f"frames/frame_{number}.png" for number in (1, 2, 3, 5, 6, 7)))
    touch(*(f"flow/flow_{number:04d}.flo" for number in (1, 2, 3, 4, 6)))
    samples = Folder("frames/frame_*.png", flow="flow/*.flo")
    assert ends(samples) == [
        (f"frames/frame_{number}.png", f"frames/frame_{number + 1}.png", f"flow/flow_{number:04d}.flo")
        for number in (1, 2, 6)
    ]
    assert samples.left_out == [
        "there is no second image for 'frames/frame_3.png'",
        "there is no flow for 'frames/frame_5.png'",
        "there is no pair for 'flow/flow_0003.flo', 'flow/flow_0004.flo'",
    ]


def test_numbers_may_go_up_in_steps_if_they_are_said():
    touch(*(f"frames/{number:04d}.png" for number in (0, 2, 4)), "flow/0000.flo", "flow/0002.flo")
    with pytest.raises(FlowBenchError, match=r"no image in 'frames' .* data\.step=1 above .* Is it data\.step=2\?"):
        len(Folder("frames/*.png", flow="flow/*.flo"))
    assert [pair[1] for pair in ends(Folder("frames/*.png", flow="flow/*.flo", step=2))] == [
        "frames/0002.png",
        "frames/0004.png",
    ]


def test_folders_match_by_name_or_number():
    touch(*(f"videos/video_{name}/{frame}.png" for name in (2, 10) for frame in (1, 2)))
    touch("flow/10/flow_1.flo", "flow/2/flow_1.flo", "flow/3/flow_1.flo")
    assert ends(Folder("videos/*/*.png", flow="flow/*/*.flo")) == [
        (f"videos/video_{name}/1.png", f"videos/video_{name}/2.png", f"flow/{name}/flow_1.flo") for name in (2, 10)
    ]


def test_numbers_of_names_alone_do_not_bring_two_folders_together():
    touch(*(f"videos/{name}/{frame}.png" for name in ("a_1", "b_1") for frame in (1, 2)))
    touch("flow/a_1/f1.flo", "flow/b_1/f1.flo")
    assert [pair[2] for pair in ends(Folder("videos/*/*.png", flow="flow/*/*.flo"))] == [
        "flow/a_1/f1.flo",
        "flow/b_1/f1.flo",
    ]


def test_pairs_in_folders_of_their_own_match_by_the_folders():
    touch(*(f"{name}/{file}" for name in ("cones", "teddy") for file in ("im2.png", "im6.png", "truth.pfm")))
    touch("tsukuba/im2.png", "tsukuba/im6.png")
    samples = Folder("*/im2.png", second="*/im6.png", flow="*/truth.pfm")
    assert ends(samples) == [(f"{name}/im2.png", f"{name}/im6.png", f"{name}/truth.pfm") for name in ("cones", "teddy")]
    assert samples.left_out == ["there is no flow for 'tsukuba/im2.png'"]


def test_a_folder_is_as_good_as_a_pattern():
    touch("my [best] frames/1.png", "my [best] frames/2.png")
    assert ends(Folder("my [best] frames")) == [("my [best] frames/1.png", "my [best] frames/2.png", None)]


@pytest.mark.parametrize(
    "pattern", ["videos/**/*.png", "./videos//*/left/*.png", "videos/**", "videos/?/[l]eft/[0-9][0-9].png"]
)
def test_every_kind_of_pattern_finds_the_pairs(pattern):
    touch(*(f"videos/{name}/left/{frame}.png" for name in "ab" for frame in (10, 11)))
    assert [pair[:2] for pair in ends(Folder(pattern))] == [
        (f"videos/{name}/left/10.png", f"videos/{name}/left/11.png") for name in "ab"
    ]


def test_an_absolute_pattern_is_as_good_as_a_relative_one(tmp_path):
    touch("frames/1.png", "frames/2.png", "flow/1.flo")
    (pair,) = Folder(f"{tmp_path}/frames/*", flow=f"{tmp_path}/flow/*.flo").pairs
    assert (pair.image2, pair.flow) == (tmp_path / "frames/2.png", tmp_path / "flow/1.flo")


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
            ["a/1.png", "a/2.png", "b/1.png", "b/2.png", "f/1.flo", "f/2.flo"],
            {"images": "?/*.png", "flow": "f/*.flo"},
            "which of data.flow=f/*.flo ('f/1.flo', 'f/2.flo') belongs to which of data.images=?/*.png ('a/1.png', "
            "'a/2.png', 'b/1.png' and 1 more)",
        ),
        (
            ["a/1.png", "a/2.png", "f/7.flo", "f/8.flo"],
            {"images": "a/*.png", "flow": "f/*.flo"},
            "which of data.flow=f/*.flo ('f/7.flo', 'f/8.flo') belongs to which of data.images=a/*.png ('a/1.png', "
            "'a/2.png')",
        ),
        (
            ["a/1.png", "a/2.png", "f/x_1.flo", "f/y_1.flo"],
            {"images": "a/*.png", "flow": "f/*.flo"},
            "data.flow=f/*.flo has 'f/x_1.flo' and 'f/y_1.flo', which count as one",
        ),
        (
            ["a/1.png", "a/2.png", "a/2.jpg"],
            {"images": "a/*"},
            "data.images=a/* has 'a/2.jpg' and 'a/2.png', which count as one",
        ),
        (
            ["a/x_1.png", "a/x_3.png", "b/x_2.png", "b/x_4.png"],
            {"images": "a/*.png", "second": "b/*.png"},
            "which of data.second=b/*.png ('b/x_2.png', 'b/x_4.png') belongs to which of data.images=a/*.png ('a/x_1.png'",
        ),
        (
            ["a/left.png", "a/right.png"],
            {"images": "a/*.png"},
            "the names in 'a' ('a/left.png', 'a/right.png') have no numbers that tell which image follows which",
        ),
        (
            ["a/1.png", "a/2.png", "f/2.flo"],
            {"images": "a/*.png", "flow": "f/*.flo"},
            "no pair is complete: there is no flow for 'a/1.png'",
        ),
        (["a/1.png"], {"images": "a/*.png"}, "'a' has one image that matches; a pair needs two"),
        (["a/1.txt"], {"images": "a/*"}, "data.images=a/*: matches no file that ends in .png"),
        (["a/1.png", "a/2.png"], {"images": "a/*", "flow": "f/*.flo"}, "data.flow=f/*.flo: matches no file"),
        ([], {"images": "a/*.png"}, "there is no folder 'a'. Set data.images to what matches your images"),
    ],
)
def test_what_names_do_not_tell_is_an_error(files, arguments, message):
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
    # Pair 17 shows the first image of pair 18.
    assert trained == [f"folder/{frame:02d}" for frame in range(17)]
    assert held_out == ["folder/18", "folder/19"]
    with pytest.raises(
        FlowBenchError, match=r"validation pairs, which chose best\.ckpt: measure on those with split=val"
    ):
        data.split("test")
    assert data.counts() == {"train/folder": 17, "val": 2}
    with pytest.raises(FlowBenchError, match=r"20 pairs: too few to split them at data\.validation_share=0\.01"):
        len(folder_data("images='frames/*.png'", "flow='flow/*.flo'", "validation_share=0.01").val)


def own_sequences(**lengths: int) -> list[str]:
    """Sequences of so many pairs; the words that say where they lie."""
    for name, pairs in lengths.items():
        touch(*(f"videos/{name}/{frame:02d}.png" for frame in range(pairs + 1)))
        touch(*(f"flow/{name}/{frame:02d}.flo" for frame in range(pairs)))
    return ["images='videos/*/*.png'", "flow='flow/*/*.flo'"]


def parts_of(data: FlowDataModule) -> dict[str, list[str]]:
    sets = {"train": data.parts["folder"].samples, "val": data.val, "test": data.test["folder"]}
    return {part: [pair.key.removeprefix("folder/") for pair in samples.pairs] for part, samples in sets.items()}


def test_shares_are_cut_where_a_sequence_ends_nearby():
    words = own_sequences(a=11, b=4, c=5)
    parts = parts_of(folder_data(*words, "validation_share=0.2", "test_share=0.2"))
    # 20 pairs: the cuts at 12 and 16 move to the borders at 11 and 15.
    assert {part: {key[0] for key in keys} for part, keys in parts.items()} == {
        "train": {"a"},
        "val": {"b"},
        "test": {"c"},
    }
    assert [len(keys) for keys in parts.values()] == [11, 4, 5]


def test_no_two_parts_show_one_image():
    words = own_sequences(a=20)
    data = folder_data(*words, "validation_share=0.2", "test_share=0.2")
    assert [len(keys) for keys in parts_of(data).values()] == [11, 3, 4]
    shown = [
        {image for pair in samples.pairs for image in (pair.image1, pair.image2)}
        for samples in (data.parts["folder"].samples, data.val, data.test["folder"])
    ]
    assert not shown[0] & shown[1] | shown[1] & shown[2] | shown[0] & shown[2]


def write_lists(**lists: str) -> list[str]:
    for part, lines in lists.items():
        Path(f"{part}.txt").write_text(lines)
    return [f"lists.{part}={part}.txt" for part in lists]


def test_lists_name_sequences_and_pairs():
    words = own_sequences(a=3, b=2, c=4)
    lists = write_lists(train="# mine\na\n\nc/00\n", val="folder/b/\n", test="c/02\nc/03\n")
    assert parts_of(folder_data(*words, *lists)) == {
        "train": ["a/00", "a/01", "a/02", "c/00"],
        "val": ["b/00", "b/01"],
        "test": ["c/02", "c/03"],
    }


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train": "a\n", "val": "bb\n"}, r"data\.lists\.val=val\.txt names 'bb', .* there are "),
        (
            {"train": "a\nc/00", "val": "c/01"},
            r"c/00 of data\.lists\.train and c/01 of data\.lists\.val share the image",
        ),
        ({"train": "a\n", "val": "\n"}, r"data\.lists\.val=val\.txt names no pair"),
    ],
)
def test_lists_that_cannot_be_followed_are_errors(lists, message):
    words = own_sequences(a=3, b=2, c=4)
    data = folder_data(*words, *write_lists(**lists))
    with pytest.raises(FlowBenchError, match=message):
        len(data.val)


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


def test_what_is_validated_is_not_tested():
    touch(*(f"{split}/{frame}.png" for split in ("a", "b") for frame in (1, 2)), "a/flow/1.flo", "b/flow/1.flo")
    data = folder_data("images=a", "flow='a/flow/*.flo'", "val.images=b", "val.flow='b/flow/*.flo'")
    assert ends(data.val) == [("b/1.png", "b/2.png", "b/flow/1.flo")]
    assert data.counts() == {"train/folder": 1, "val": 1}


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
        ([], "data=folder needs images: data.images="),
        (["flow='f/*.flo'", "test.images=a"], "data.flow has no images: set data.images"),
        (["images=a", "validation_share=1.5"], "data.validation_share=1.5: a share from 0 to below 1"),
        (["images=a", "test_share=-1"], "data.test_share=-1: a share from 0 to below 1"),
        (["images=a", "validation_share=0.5", "test_share=0.5"], "leave nothing to train on"),
        (["images=a", "validation_share=0.5", "lists.val=x.txt"], "data.lists and shares"),
        (
            ["images=a", "flow='f/*.flo'", "validation_share=0.5", "val.images=b", "val.flow='b/*.flo'"],
            "exclude each other",
        ),
        (["images=a", "step=0"], "data.step=0: a whole number above zero"),
        (["images=a", "step=2", "second=b"], "data.step=2 and data.second=b both say"),
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
