"""HD1K, the HCI benchmark suite (Kondermann et al., CVPR workshops 2016)."""

from __future__ import annotations

from flowbench.data.pair_files import PairFiles, PairPaths
from flowbench.data.sets.listing import numbered


class Hd1k(PairFiles):
    """Driving through a city, 2560x1080, about 1,000 pairs with sparse ground truth."""

    title = "HD1K"
    root_key = "paths.hd1k"
    sparse = True
    tree = """\
    hd1k_input/image_2/000000_0010.png, ...
    hd1k_flow_gt/flow_occ/000000_0010.png, ..."""

    def list_pairs(self) -> list[PairPaths]:
        images, flows = self.folder("hd1k_input/image_2"), self.folder("hd1k_flow_gt/flow_occ")
        sequences = sorted({path.name.partition("_")[0] for path in images.glob("*_*.png")})
        return [
            PairPaths(
                key=f"hd1k/{sequence}/{number:04d}",
                image1=frames[number],
                image2=frames[number + 1],
                flow=flows / frames[number].name,
            )
            for sequence, frames in ((name, numbered(images, f"{name}_", ".png")) for name in sequences)
            for number in frames
            if number + 1 in frames
        ]
