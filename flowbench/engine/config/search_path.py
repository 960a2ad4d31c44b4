"""Hydra's search path with the folders of plug-ins."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from flowbench.plugins import plugin_folders


class PluginFolders(SearchPathPlugin):
    """Adds them behind conf/, so that a plug-in adds options but takes no other's place."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in plugin_folders():
            search_path.append("plug-in", f"file://{folder}")


def find_plugin_folders() -> None:
    """Has Hydra look into the folders of plug-ins, too, whatever it composes from now on."""
    Plugins.instance().register(PluginFolders)
