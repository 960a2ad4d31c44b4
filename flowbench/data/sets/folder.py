"""A user's own images and flow, in any folders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.data.sets.matching import MatchedFile, Words, listed, matching, paired_files, refuse_several
from flowbench.errors import FlowBenchError
from flowbench.io.flow import SUFFIXES as FLOW_SUFFIXES
from flowbench.io.frames import ImageFrames, is_pattern, natural_order
from flowbench.io.image import SUFFIXES as IMAGE_SUFFIXES

# The formats that hold a mask of their own.
_SPARSE_SUFFIXES = (".png", ".npz")

log = logging.getLogger(__name__)


class Folder(PairFiles):
    """The images that a pattern matches, each folder of them a sequence: a pair is image number n and number n + step.

    Files are never matched by their order. A flow file belongs to the pair whose first image has the same name (the text in
    place of the patterns' wildcards), or else the same number. An image without a next one or without flow makes no pair;
    `left_out` lists these.

    Args:
        images: a pattern ("frames/*.png", "videos/*/*.png") or a folder.
        flow: a pattern with the suffix of flow files, matched as images are; None where there is no ground truth.
        second: a pattern of second images, where these have names of their own ("img2/*.png"): they belong to the first
            images as flow files do, and numbers need not follow one another.
        step: difference of the numbers of second and first image.
        white: the value of white in 16-bit images, see `read_image`.

    Listing raises FlowBenchError, with the names of both, where neither names nor numbers match.
    """

    title = "Your pictures"
    root_key = "data.images"
    tree = "    frames/0001.png, 0002.png, ..."

    def __init__(
        self,
        images: str,
        *,
        flow: str | None = None,
        second: str | None = None,
        step: int = 1,
        white: int | None = None,
    ) -> None:
        super().__init__(_fixed_part(images))
        if type(step) is not int or step < 1:
            raise FlowBenchError(f"data.step={step}: a whole number above zero is needed.")
        if second is not None and step != 1:
            raise FlowBenchError(f"data.step={step} and data.second={second} both say which image is second: give one.")
        if flow is not None and Path(flow).suffix.lower() not in FLOW_SUFFIXES:
            raise FlowBenchError(
                f"data.flow={flow}: the pattern must end in the suffix of flow files: {', '.join(FLOW_SUFFIXES)}."
            )
        if white is not None and (type(white) is not int or white < 1):
            raise FlowBenchError(f"data.white={white}: a whole number above zero is needed, or null.")
        self.images, self.flow, self.second, self.step, self.white = images, flow, second, step, white
        # Whether the flow's format is made for ground truth that is known at some pixels only.
        self.sparse = flow is not None and Path(flow).suffix.lower() in _SPARSE_SUFFIXES

    def list_pairs(self) -> list[PairPaths]:
        return self._listing[0]

    @property
    def left_out(self) -> Sequence[str]:
        """A sentence on each kind of file that is part of no pair because another one is missing."""
        return self._listing[1]

    def expectation(self) -> str:
        return f"Set {self.root_key} to what matches your images, for instance {self.root_key}='frames/*.png'."

    @cached_property
    def _listing(self) -> tuple[list[PairPaths], list[str]]:
        """The pairs, and `left_out`."""
        images = matching("data.images", self.images, IMAGE_SUFFIXES)
        flows = [] if self.flow is None else matching("data.flow", self.flow, FLOW_SUFFIXES)
        second_of = self._next_images(images) if self.second is None else self._second_images(images, self.second)
        flow_of = self._paired_with(images, flows, f"data.flow={self.flow}") if flows else {}
        complete = [image for image in images if image in second_of and (image in flow_of or not flows)]
        left_out = _left_out(images, second_of, flows, flow_of, complete)
        if not complete:
            raise FlowBenchError(f"data.images={self.images}: no pair is complete: {'; '.join(left_out)}.")
        for sentence in left_out:
            log.warning("data.images=%s: %s.", self.images, sentence)
        return self._pairs(complete, second_of, flow_of), left_out

    def _paired_with(self, images: list[MatchedFile], others: list[MatchedFile], option: str) -> _Others:
        return paired_files(images, others, first_option=f"data.images={self.images}", second_option=option)

    def _second_images(self, images: list[MatchedFile], second: str) -> _Others:
        return self._paired_with(images, matching("data.second", second, IMAGE_SUFFIXES), f"data.second={second}")

    def _next_images(self, images: list[MatchedFile]) -> _Others:
        """The image whose number is `step` higher, of each that has one in its folder."""
        found: _Others = {}
        ordered = sorted(images, key=lambda image: natural_order(image.path.parent))
        for folder, sequence in groupby(ordered, key=lambda image: image.path.parent):
            found |= self._next_in_folder(folder, list(sequence))
        return found

    def _next_in_folder(self, folder: Path, images: list[MatchedFile]) -> _Others:
        numbered: dict[tuple[Words, int], list[MatchedFile]] = {}
        for image in images:
            if image.numbering is not None:
                numbered.setdefault(image.numbering, []).append(image)
        found = {}
        for (around, number), same in numbered.items():
            refuse_several(same, f"data.images={self.images}")
            if (around, number + self.step) in numbered:
                found[same[0]] = numbered[around, number + self.step][0]
        if not found:
            raise FlowBenchError(self._without_pairs(folder, images, sorted(number for _, number in numbered)))
        return found

    def _without_pairs(self, folder: Path, images: list[MatchedFile], numbers: list[int]) -> str:
        if len(images) == 1:
            return f"data.images={self.images}: '{folder}' has one image that matches; a pair needs two."
        if len(numbers) < 2:
            return (
                f"data.images={self.images}: the names in '{folder}' ({listed(images)}) have no numbers that tell which "
                "image follows which: number them, or set data.second to a pattern of the second images."
            )
        least = min(after - before for before, after in pairwise(numbers))
        remedy = f" Is it data.step={least}?" if least > 0 else " Set data.second to a pattern of the second images."
        return (
            f"data.images={self.images}: no image in '{folder}' ({listed(images)}) has a number that is data.step="
            f"{self.step} above that of another.{remedy}"
        )

    def _pairs(self, firsts: list[MatchedFile], second_of: _Others, flow_of: _Others) -> list[PairPaths]:
        keys = self._keys([first.path for first in firsts])
        return [
            PairPaths(
                key=key,
                image1=first.path,
                image2=second_of[first].path,
                flow=flow_of[first].path if first in flow_of else None,
                white=self.white,
            )
            for key, first in zip(keys, firsts, strict=True)
        ]

    def _keys(self, images: list[Path]) -> list[str]:
        """folder/<sequence>/<image>, the sequence as it is called under the root."""
        names = ImageFrames(images).names
        sequences = [image.parent.relative_to(self.root) for image in images]
        return [
            Path("folder", sequence, Path(name).name).as_posix()
            for sequence, name in zip(sequences, names, strict=True)
        ]


_Others = dict[MatchedFile, MatchedFile]


def _fixed_part(pattern: str) -> Path:
    """The folder that all matches of a pattern lie in."""
    path = Path(pattern)
    while is_pattern(str(path)):
        path = path.parent
    return path


def _left_out(
    images: list[MatchedFile],
    second_of: _Others,
    flows: list[MatchedFile],
    flow_of: _Others,
    complete: list[MatchedFile],
) -> list[str]:
    # The last image of a folder ends a sequence, and may have flow all the same.
    last = {image.path.parent: image for image in images}.values()
    used = {flow_of[image] for image in (*complete, *last) if image in flow_of}
    kinds = {
        "no second image": [image for image in images if image not in second_of and image not in last],
        "no flow": [image for image in images if image in second_of and image not in flow_of and flows],
        "no pair": [flow for flow in flows if flow not in used],
    }
    return [f"there is {what} for {listed(files)}" for what, files in kinds.items() if files]
