"""Pages in a headless browser, for tests that are skipped where there is none."""

import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1600",
]

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the PATH")


def browse(folder, *arguments):
    """What the browser prints. folder: where its profile may lie for so long."""
    profile = folder / "profile"
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    shutil.rmtree(profile)
    return done.stdout
