"""A real Chromium, headless: how a page looks at a width and in a colour scheme, and the DOM it became."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAMES = ("chromium", "chromium-browser", "google-chrome")
# fmt: off
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)
# fmt: on


def find() -> Path | None:
    """The browser on PATH."""
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Browser:
    program: Path

    def screenshot(self, page: Path, to: Path, *, width: int = 1200, height: int = 1600, scheme: Literal["light", "dark"] = "light") -> Path:
        """A PNG of the top of the page. Chromium makes no window narrower than 500 px: give a narrower page a frame."""
        dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else ["--blink-settings=preferredColorScheme=1"]
        self._run(f"--screenshot={to}", f"--window-size={width},{height}", *dark, page.resolve().as_uri())
        assert to.stat().st_size
        return to

    def dom(self, page: Path, *, width: int = 1200) -> str:
        """The document as HTML, after its scripts, if it has any."""
        return self._run("--dump-dom", f"--window-size={width},1600", page.resolve().as_uri())

    def _run(self, *arguments: str) -> str:
        with tempfile.TemporaryDirectory(prefix="irkit-chromium-", ignore_cleanup_errors=True) as profile:
            command = [str(self.program), *FLAGS, f"--user-data-dir={profile}", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout
