"""The table: one row a figure, and how it stands to its target."""

from __future__ import annotations

from dataclasses import dataclass

HEADER = ("what", "min", "median", "beside", "min", "median", "ratio", "target", "")


@dataclass(frozen=True)
class Row:
    """One figure. ``ratio`` is of the medians; where there is nothing beside it, the figure itself is held against ``target``."""

    what: str
    minimum: float
    median: float
    unit: str
    beside: str = ""
    beside_minimum: float = 0.0
    beside_median: float = 0.0
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.median / self.beside_median if self.beside else None

    @property
    def missed(self) -> bool:
        figure = self.median if self.ratio is None else self.ratio
        return self.target is not None and figure > self.target

    def cells(self) -> tuple[str, ...]:
        beside = [_shown(x, self.unit) for x in (self.beside_minimum, self.beside_median)] if self.beside else ["", ""]
        target = "" if self.target is None else f"≤ {self.target:g}" + ("" if self.beside else f" {self.unit}")
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        mine = _shown(self.minimum, self.unit), _shown(self.median, self.unit)
        verdict = "" if self.target is None else "MISSED" if self.missed else "ok"
        return (self.what, *mine, self.beside, *beside, ratio, target, verdict)


def _shown(figure: float, unit: str) -> str:
    return f"{figure:.2f} {unit}" if unit == "s" else f"{figure:.0f} {unit}" if unit else f"{figure:.0f}"


def render(rows: list[Row]) -> str:
    cells = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(HEADER))]
    left = {0, 3, 8}
    lines = ("  ".join(c.ljust(w) if n in left else c.rjust(w) for n, (c, w) in enumerate(zip(line, widths, strict=True))) for line in cells)
    return "\n".join(line.rstrip() for line in lines)
