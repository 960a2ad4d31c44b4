"""Synthetic scenes, drawn at random: training data with exact flow that needs no download.

>>> scenes = SyntheticScenes(size=(96, 128), count=2, split="train", effects=None)
>>> scenes[0].flow.shape
(96, 128, 2)
"""

from flowbench.data.scenes.dataset import ScenePair, SyntheticScenes
from flowbench.data.scenes.effects import Effects

__all__ = ["Effects", "ScenePair", "SyntheticScenes"]
