"""Where everything stands in the two drawings, wide and narrow. Sizes are in CSS pixels of the SVG's own box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from irkit.evidence.report import times
from irkit.evidence.report.values import Entry, Milestone, Reached, Tone

WIDE, NARROW = 960, 320
_LANES = (("cluster", "cluster"), ("people", "people"), ("irkit", "irkit"))
_ROWS = 16  # of credentials or users that are drawn; the table below has all


@dataclass(frozen=True, slots=True)
class Label:
    x: float
    y: float
    text: str
    kind: str = ""
    tone: Tone = ""
    whole: str = ""  # what was cut


@dataclass(frozen=True, slots=True)
class Line:
    """A path of straight lines or one curve, in SVG's own words."""

    path: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    width: float
    height: float
    labels: tuple[Label, ...]
    lines: tuple[Line, ...]
    points: tuple[tuple[float, float, str], ...] = ()  # x, y, tone
    boxes: tuple[tuple[float, float, float, float, str], ...] = ()  # x, y, width, height, tone


def timeline(milestones: Sequence[Milestone], entries: Sequence[Entry], skew: float) -> Drawing:
    """The milestones at equal distances, with the time between them; below, what happened between, in three lanes.

    ``skew``: seconds that the cluster's clock is ahead.
    """
    left, right, top = 84.0, 60.0, 64.0
    count = max(len(milestones), 1)
    step = (WIDE - left - right) / max(count - 1, 1)
    xs = [left + step * n for n in range(count)]
    labels, lines = [], [Line(f"M{left:g} {top:g}H{xs[-1]:g}")]
    for n, (x, stone) in enumerate(zip(xs, milestones, strict=False)):
        labels += [Label(x, top - 34, stone.name, "name"), Label(x, top - 18, times.short(stone.at), "time")]
        if n:
            labels.append(Label(x - step / 2, top + 18, times.between(milestones[n - 1].at, stone.at), "span"))
    points = [(x, top, "stone") for x in xs]
    bottom = top + 48
    for n, (lane, name) in enumerate(_LANES):
        y = bottom + 26 * n
        labels.append(Label(4, y + 4, name, "lane"))
        lines.append(Line(f"M{left:g} {y:g}H{WIDE - 12:g}", ""))
        seen = set()
        for entry in (e for e in entries if e.lane == lane):
            x = round(_place(times.nanoseconds(entry.at) - int(skew * 1e9 if lane == "cluster" else 0), milestones, xs), 0)
            if (x, entry.tone) not in seen:
                seen.add((x, entry.tone))
                points.append((x, y, entry.tone or "tick"))
    return Drawing(WIDE, bottom + 26 * len(_LANES), tuple(labels), tuple(lines), tuple(points))


def _place(moment: int, milestones: Sequence[Milestone], xs: Sequence[float]) -> float:
    """Between the milestones before and after it, in proportion; all earlier and later ones at the ends."""
    known = [times.nanoseconds(m.at) for m in milestones]
    if not known or moment <= known[0]:
        return xs[0] - (12 if known and moment < known[0] else 0)
    for n in range(1, len(known)):
        if moment <= known[n]:
            part = (moment - known[n - 1]) / max(known[n] - known[n - 1], 1)
            return xs[n - 1] + part * (xs[n] - xs[n - 1])
    return xs[-1] + 12


def timeline_narrow(milestones: Sequence[Milestone]) -> Drawing:
    """The same milestones one below the other."""
    x, step, top = 92.0, 52.0, 20.0
    labels = []
    for n, stone in enumerate(milestones):
        y = top + step * n
        labels += [Label(x - 16, y + 4, times.short(stone.at), "end"), Label(x + 16, y + 4, stone.name, "start")]
        if n:
            labels.append(Label(x + 16, y - step / 2 + 4, times.between(milestones[n - 1].at, stone.at), "quiet"))
    bottom = top + step * max(len(milestones) - 1, 0)
    line = Line(f"M{x:g} {top:g}V{bottom:g}")
    return Drawing(NARROW, bottom + 20, tuple(labels), (line,), tuple((x, top + step * n, "stone") for n in range(len(milestones))))


def radius(target: str, reached: Sequence[Reached]) -> Drawing:
    """The suspect, what it could reach, and who else uses that."""
    shown = list(reached[:_ROWS])
    users = list(dict.fromkeys(u for r in shown for u in r.shared))[:_ROWS]
    row, box = 48.0, 38.0
    rows = max(len(shown) + (len(reached) > len(shown)), len(users), 1)
    height = row * rows + 12
    x1, w1, x2, w2, x3, w3 = 0.0, 214.0, 300.0, 320.0, 706.0, 254.0
    middle = height / 2 - box / 2
    boxes = [(x1, middle, w1, box, "suspect")]
    labels = [_fitted(x1 + 12, middle + 23, _near(target, target), w1, "strong")]
    lines = []
    offset = (height - row * len(users)) / 2
    where = {user: offset + row * n + 6 for n, user in enumerate(users)}
    for n, item in enumerate(shown):
        y = 6 + row * n
        boxes.append((x2, y, w2, box, item.tone or "plain"))
        labels += [_fitted(x2 + 12, y + 16, _near(item.name, target), w2, "small"), _fitted(x2 + 12, y + 31, _fate(item), w2, "quiet", item.tone)]
        lines.append(Line(_curve(x1 + w1, middle + box / 2, x2, y + box / 2), item.tone))
        lines += [Line(_curve(x2 + w2, y + box / 2, x3, where[u] + box / 2)) for u in item.shared if u in where]
    if len(reached) > len(shown):
        labels.append(Label(x2 + 12, 6 + row * len(shown) + 20, f"and {len(reached) - len(shown)} more", "quiet"))
    for user, y in where.items():
        boxes.append((x3, y, w3, box, "plain"))
        labels.append(_fitted(x3 + 12, y + 23, _near(user, target), w3, "small"))
    return Drawing(WIDE, height, tuple(labels), tuple(lines), boxes=tuple(boxes))


def radius_narrow(target: str, reached: Sequence[Reached]) -> Drawing:
    """The same as a tree."""
    shown, row = list(reached[:_ROWS]), 58.0
    height = 46 + row * (len(shown) + (len(reached) > len(shown)))
    labels = [_fitted(10, 21, _near(target, target), NARROW, "strong")]
    boxes = [(0.0, 0.0, float(NARROW), 34.0, "suspect")]
    lines = [Line(f"M12 34V{46 + row * (len(shown) - 1) + 12:g}")] if shown else []
    for n, item in enumerate(shown):
        y = 46 + row * n
        shared = f"shared with {', '.join(_near(u, target) for u in item.shared)}" if item.shared else "nobody else uses it"
        lines.append(Line(f"M12 {y + 12:g}H26", item.tone))
        rows = ((16, _near(item.name, target), "small"), (31, _fate(item), "quiet"), (46, shared, "quiet"))
        labels += [_fitted(32, y + down, text, NARROW - 24, kind, item.tone if down == 31 else "") for down, text, kind in rows]
    if len(reached) > len(shown):
        labels.append(Label(32, 46 + row * len(shown) + 16, f"and {len(reached) - len(shown)} more", "quiet"))
    return Drawing(NARROW, height, tuple(labels), tuple(lines), boxes=tuple(boxes))


def _near(name: str, target: str) -> str:
    """Without the namespace where it is the suspect's own, which the title says."""
    namespace = target.rpartition(" ")[2].partition("/")[0]
    return name.replace(f"{namespace}/", "", 1) if "/" in target else name


def _fate(item: Reached) -> str:
    return f"{item.cls}: {item.fate or 'not rotated in this incident'}"


def _fitted(x: float, y: float, text: str, width: float, kind: str, tone: Tone = "") -> Label:
    """Cut to what fits in a wide font; the whole text is shown on hovering."""
    room, cut = (width - 24) / (1.1 if kind == "strong" else 1.0), len(text)
    for n, character in enumerate(text):
        room -= 8.6 if character.isupper() or not character.isascii() else 7.0
        if room < 0:
            cut = n
            break
    return Label(x, y, text if cut == len(text) else f"{text[: max(cut - 1, 1)]}…", kind, tone, text)


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (x2 - x1) / 2
    return f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
