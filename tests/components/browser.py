"""A real Chromium, headless: how a page looks at a width and in a colour scheme, and the DOM it became."""

from __future__ import annotations

import html
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PACKAGES = "chromium fonts-dejavu-core"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# fmt: off
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)
# fmt: on
NARROWEST = 500  # pixels: Chromium makes no narrower window, but crops its picture; a frame can be narrower
FRAME = """<!doctype html><meta name=color-scheme content="light dark"><style>body {{ margin: 0 }}</style>
<iframe src="{page}" width={width} height={height} style="border: 0; color-scheme: light dark"></iframe>"""


def find() -> Path | None:
    """The browser on PATH."""
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Browser:
    program: Path

    def screenshot(self, page: Path, to: Path, *, width: int = 1200, height: int = 1600, scheme: Literal["light", "dark"] = "light") -> Path:
        """A PNG of the top of the page, as wide as a screen of that width shows it."""
        preferred = f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"
        with tempfile.TemporaryDirectory(prefix="irkit-page-") as directory:
            shown = page.resolve()
            if width < NARROWEST:
                shown = Path(directory) / "frame.html"
                shown.write_text(FRAME.format(page=html.escape(page.resolve().as_uri()), width=width, height=height))
            self._run(f"--screenshot={to.resolve()}", f"--window-size={width},{height}", preferred, shown.as_uri())
        assert to.stat().st_size
        return to

    def dom(self, page: Path) -> str:
        """The document as HTML, after its scripts, if it has any."""
        return self._run("--dump-dom", page.resolve().as_uri())

    def _run(self, *arguments: str) -> str:
        with tempfile.TemporaryDirectory(prefix="irkit-chromium-", ignore_cleanup_errors=True) as profile:
            command = [str(self.program), *FLAGS, f"--user-data-dir={profile}", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout
