"""A picture of a game that redraws itself at the foot of a terminal. The only file that knows rich."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from irkit.model.picture import Picture, Stake, minutes

PER_SECOND = 4
_STATES = {"reached": "green", "kept": "green", "late": "red", "broken": "red", "open": ""}
_KINDS = {"alert": "bold", "act": "red", "inject": "yellow", "reached": "green", "lost": "red", "ended": "yellow", "command": "bold", "role": "bold"}
_PODS, _POLICIES, _LEAST = 10, 5, 4  # lines, at most; of what was said last, at least


class Dashboard:
    """Shown from entering to leaving the ``with`` block; the last picture stays. Reads ``picture`` a few times a second.

    ``height``: lines; the terminal's without it.
    """

    def __init__(self, picture: Callable[[], Picture], stream: TextIO, *, height: int = 0) -> None:
        self._picture = picture
        self._console = Console(file=stream, markup=False, highlight=False, emoji=False, height=height or None)
        self._live = Live(console=self._console, refresh_per_second=PER_SECOND, get_renderable=self._drawn, redirect_stdout=False,
                          redirect_stderr=False, vertical_overflow="crop")  # fmt: skip

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def _drawn(self) -> RenderableType:
        return drawn(self._picture(), self._console.size.height - 1)


def drawn(picture: Picture, height: int) -> Group:
    """The whole picture in at most ``height`` lines: what was said last gets what is left, the pods give way."""
    head = _head(picture)
    stakes = _stakes(picture)
    roles = [_line("  " + "   ".join(f"{r.name}: {r.who or 'nobody'}" for r in picture.roles), "")] if picture.roles else []
    policies = list(_policies(picture))
    room = height - len(head) - len(picture.stakes) - len(roles) - len(policies) - 4
    pods = list(_pods(picture, max(2, min(_PODS, room - _LEAST))))
    said = list(_said(picture, max(_LEAST, room - len(pods))))
    return Group(*head, *roles, Text("pods", style="dim"), *pods, Text("policies that select the suspect", style="dim"), *policies,
                 Text("at stake", style="dim"), stakes, Text("so far", style="dim"), *said)  # fmt: skip


def _head(picture: Picture) -> list[Text]:
    clock = f"{minutes(picture.seconds)} of {minutes(picture.lasts)}" if picture.lasts else "setting the stage"
    first = Text.assemble((picture.title, "bold"), f"   {clock}", (f"   {picture.over}" if picture.over else "", "bold"))
    return [first, *([Text(picture.alert, overflow="ellipsis", no_wrap=True)] if picture.alert else [])]


def _pods(picture: Picture, most: int) -> Iterator[Text]:
    shown = picture.pods if len(picture.pods) <= most else picture.pods[: most - 1]
    for pod in shown:
        style = "bold" if pod.part == "suspect" else ""
        state = pod.state if pod.ready or pod.state != "Running" else "Running, not ready"
        mark = {"suspect": "!", "sibling": "+", "other": " "}[pod.part]
        yield _line(f"  {mark} {pod.name}  ", style, (state, "" if pod.ready else "yellow"))
    if len(shown) < len(picture.pods):
        yield Text(f"    and {len(picture.pods) - len(shown)} more", style="dim")
    if not picture.pods:
        yield Text("    none", style="yellow" if picture.lasts else "dim")


def _policies(picture: Picture) -> Iterator[Text]:
    for policy in picture.policies[:_POLICIES]:
        yield _line(f"    {policy.name}  ", "", (policy.lets, "red" if policy.opens else "green"))
    if not picture.policies:
        yield Text("    none", style="red" if picture.leaks else "dim")


def _stakes(picture: Picture) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for stake in picture.stakes:
        table.add_row(Text(f"    {stake.id}"), Text(_when(stake, picture.seconds), style=_STATES[stake.state]), Text(stake.why))
    return table


def _when(stake: Stake, seconds: float) -> str:
    if stake.state in ("reached", "broken"):
        return f"{stake.state} {minutes(stake.at or 0.0)}"
    if stake.state == "late":
        return f"late by {minutes(seconds - stake.within)}"
    return f"open, {minutes(stake.within - seconds)} left" if stake.state == "open" and stake.within else stake.state


def _said(picture: Picture, most: int) -> Iterator[Text]:
    for said in picture.said[-most:]:
        yield _line(f"    {minutes(said.at)}  {said.kind:<8} ", "", (said.text, _KINDS.get(said.kind, "")))


def _line(text: str, style: str, *rest: tuple[str, str]) -> Text:
    line = Text.assemble((text, style), *rest)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
