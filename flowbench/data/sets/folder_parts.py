"""Training, validation and test parts of one folder of pairs, no two of which show the same image."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.data.sets.folder import Folder
from flowbench.errors import FlowBenchError

PARTS = ("train", "val", "test")
# The settings that give a part its share.
SHARES = {"val": "validation_share", "test": "test_share"}
_PREFIX = "folder/"


class FolderDivision:
    """The pairs of a folder, divided by shares or by lists.

    Args:
        whole: the folder.
        shares: of all pairs, from 0 to 1, by "val" and "test"; training has the first pairs, validation the next, test the
            last. A cut is moved to the end of a sequence, if one ends nearby; otherwise the pair at the cut that shares an
            image with the next part is left out.
        lists: text files by "train", "val" and "test", in place of shares; each line is the name of a sequence or of a pair
            ("video_1", "video_1/0007"). What no list names is not used.

    Using a part raises FlowBenchError where one is empty, a list has an unknown name, or two lists share an image.
    """

    def __init__(self, whole: Folder, *, shares: Mapping[str, float], lists: Mapping[str, str]) -> None:
        self.whole = whole
        self.shares, self.lists = dict(shares), dict(lists)

    @cached_property
    def parts(self) -> Mapping[str, Sequence[PairPaths]]:
        """The pairs of each part."""
        return self._listed() if self.lists else self._shared()

    def _shared(self) -> Mapping[str, Sequence[PairPaths]]:
        pairs = self.whole.all_pairs
        sizes = {part: round(self.shares.get(part, 0) * len(pairs)) for part in PARTS[1:]}
        reach = (min(size for part, size in sizes.items() if self.shares.get(part)) - 1) // 2
        last = _nearest_border(pairs, len(pairs) - sizes["test"], reach)
        first = _nearest_border(pairs, len(pairs) - sizes["test"] - sizes["val"], reach) if sizes["val"] else last
        train, val, test = pairs[:first], pairs[first:last], pairs[last:]
        parts = {"train": _apart(train, [*val, *test]), "val": _apart(val, test), "test": test}
        wanted = ["train", *(part for part in PARTS[1:] if self.shares.get(part))]
        if not all(parts[part] for part in wanted):
            raise FlowBenchError(
                f"data.images={self.whole.images} has {len(pairs)} pairs: too few to split them at "
                f"{', '.join(f'data.{SHARES[part]}={self.shares[part]}' for part in wanted[1:])}."
            )
        return parts

    def _listed(self) -> dict[str, list[PairPaths]]:
        parts = {part: self._named_in(part, file) for part, file in self.lists.items()}
        owner: dict[Path, tuple[str, PairPaths]] = {}
        for part, pairs in parts.items():
            for pair in pairs:
                for image in (pair.image1, pair.image2):
                    other, before = owner.setdefault(image, (part, pair))
                    if other != part:
                        raise FlowBenchError(
                            f"{_name(before)} of data.lists.{other} and {_name(pair)} of data.lists.{part} share the image "
                            f"{image}: leave one of them out."
                        )
        return parts

    def _named_in(self, part: str, file: str) -> list[PairPaths]:
        """The pairs that a list names, in the folder's order."""
        names = [line.removeprefix(_PREFIX).rstrip("/") for line in _lines(file)]
        known = {name for pair in self.whole.all_pairs for name in (_name(pair), _sequence(pair)) if name}
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3) or sorted(known)[:3]
                raise FlowBenchError(
                    f"data.lists.{part}={file} names '{name}', which is neither a sequence nor a pair of data.images="
                    f"{self.whole.images}; there are {', '.join(near)}."
                )
        found = [pair for pair in self.whole.all_pairs if {_name(pair), _sequence(pair)} & set(names)]
        if not found:
            raise FlowBenchError(f"data.lists.{part}={file} names no pair: one sequence or pair per line is needed.")
        return found


class FolderPart(PairFiles):
    """One part of a division. name: "train", "val" or "test"."""

    title, root_key, tree = Folder.title, Folder.root_key, Folder.tree

    def __init__(self, division: FolderDivision, name: str) -> None:
        super().__init__(division.whole.root)
        self.division, self.name = division, name
        self.sparse = division.whole.sparse

    @property
    def flow(self) -> str | None:
        """As of the whole folder."""
        return self.division.whole.flow

    @property
    def left_out(self) -> Sequence[str]:
        """As of the whole folder."""
        return self.division.whole.left_out

    def list_pairs(self) -> list[PairPaths]:
        return list(self.division.parts[self.name])

    def expectation(self) -> str:
        return self.division.whole.expectation()


def _nearest_border(pairs: Sequence[PairPaths], cut: int, reach: int) -> int:
    """The index nearest to `cut`, at most `reach` away, at which a sequence begins; `cut` itself where there is none."""
    near = range(max(1, cut - reach), min(len(pairs), cut + reach + 1))
    borders = [index for index in near if _sequence(pairs[index - 1]) != _sequence(pairs[index])]
    return min(borders, key=lambda index: abs(index - cut), default=cut)


def _apart(pairs: Sequence[PairPaths], others: Sequence[PairPaths]) -> list[PairPaths]:
    """The pairs that share no image with the others."""
    shown = {image for pair in others for image in (pair.image1, pair.image2)}
    return [pair for pair in pairs if pair.image1 not in shown and pair.image2 not in shown]


def _sequence(pair: PairPaths) -> str:
    return _name(pair).rpartition("/")[0]


def _name(pair: PairPaths) -> str:
    return pair.key.removeprefix(_PREFIX)


def _lines(file: str) -> list[str]:
    """The lines of a text file that are neither empty nor a comment (#)."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FlowBenchError(f"{file}: no readable list of sequences ({error}).") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
