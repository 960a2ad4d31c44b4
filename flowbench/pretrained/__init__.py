"""Weights that have a name: those that FlowBench ships, and those that others have published."""

from flowbench.pretrained.cache import cache_folder, direct_link, file_of
from flowbench.pretrained.download import sha256_of
from flowbench.pretrained.entries import Weights
from flowbench.pretrained.names import DEFAULT, Located, locate, shipped_weights, weights_named
from flowbench.pretrained.table import all_weights, weights_folder

__all__ = [
    "DEFAULT",
    "Located",
    "Weights",
    "all_weights",
    "cache_folder",
    "direct_link",
    "file_of",
    "locate",
    "sha256_of",
    "shipped_weights",
    "weights_folder",
    "weights_named",
]
