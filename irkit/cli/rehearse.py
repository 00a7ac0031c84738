"""`irkit rehearse`: an incident on the built-in cluster, with everything as in earnest."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from irkit.cli import options, rehearse_ways
from irkit.cli.main import SETTINGS
from irkit.cli.output import Out
from irkit.cli.rehearse_check import check
from irkit.cli.rehearse_clean import clean
from irkit.cli.rehearse_history import history
from irkit.cli.rehearse_new import new
from irkit.cli.rehearse_replay import replay
from irkit.cli.rehearse_schema import schema
from irkit.cli.sandbox import Seed
from irkit.text import printable


class Kept(NamedTuple):
    """Whose game it is, and what is kept of it where."""

    player: str
    record: Path | None
    html: Path | None


class _Words(TyperGroup):
    """``--runbook`` alone means the first playbook: an option whose value may be left out, which typer has not."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        after = dict(zip(args, [*args, "-"][1:], strict=True))
        bare = "--runbook" in args and after["--runbook"].startswith("-")
        return super().parse_args(ctx, [f"--runbook={MAIN}" if bare and word == "--runbook" else word for word in args])


app = typer.Typer(cls=_Words, rich_markup_mode=None, add_completion=False, context_settings=SETTINGS)
Phase = Annotated[str, typer.Option("--phase", help="Only this phase, as in: containment")]
List = Annotated[bool, typer.Option("--list", help="The scenarios that there are, the easiest first")]
Watch = Annotated[bool, typer.Option("--watch", help="irkit plays both sides of a scenario")]
Free = Annotated[bool, typer.Option("--free", help="You respond from another terminal, with irkit or kubectl")]
Team = Annotated[bool, typer.Option("--team", help="Several people, who join from terminals of their own")]
Join = Annotated[Path | None, typer.Option("--join", metavar="DIR", help="Join the game in that directory: --as NAME, --role ROLE")]
As = Annotated[str, typer.Option("--as", metavar="NAME", help="With --join: who you are in the audit log", show_default=False)]
AsRole = Annotated[str, typer.Option("--role", metavar="ROLE", help="commander, operations, communications or scribe", show_default=False)]
Hard = Annotated[bool, typer.Option("--hard", help="The hardest scenario that you have not mastered")]
Board = Annotated[bool, typer.Option("--board", help="A page on 127.0.0.1 for the audience")]
Port = Annotated[int, typer.Option("--port", help="Of the board, instead of a free one", show_default=False)]
Speed = Annotated[float, typer.Option("--speed", metavar="N", help="N seconds of the game in one second", show_default=False)]
Player = Annotated[str, typer.Option("--player", metavar="NAME", help="Who plays, in the card and the history", show_default=False)]
Record = Annotated[Path | None, typer.Option("--record", metavar="FILE", help="Keep the game there, for `rehearse replay`", show_default=False)]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the card as one HTML page", show_default=False)]
Runbook = Annotated[str, typer.Option("--runbook", metavar="[PLAYBOOK]", help="Do a playbook's runbook by hand, with kubectl", show_default=False)]
Ci = Annotated[bool, typer.Option("--ci", help="Your playbooks in all scenarios that fit; without own ones, the built-in ones")]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="With --ci: write JUnit XML")]
Staging = Annotated[str, typer.Option("--staging", metavar="CONTEXT", help="Play on a real cluster that is not production", show_default=False)]
Confirm = Annotated[str, typer.Option("--confirm", metavar="CONTEXT", help="With --staging: instead of typing its name", show_default=False)]
Really = Annotated[bool, typer.Option("--really", help="With --staging: though it is large, or can't be looked at whole")]
Image = Annotated[str, typer.Option("--image", metavar="IMAGE", help="With --staging: what its pods run, instead of pause", show_default=False)]
Patched = Annotated[str, typer.Option("--patched", metavar="IMAGE", help="With --image: its patched image, by digest", show_default=False)]
FIRST, MAIN = "first-contact", "compromised-pod"
_CLUSTERS = ("todo-app", "empty")  # the built-in clusters themselves, without a game
Keep = Annotated[bool, typer.Option("--keep-workload", help="Leave the workload running")]


app.command()(check)
app.command()(schema)
app.command()(clean)
app.command()(history)
app.command()(new)
app.command()(replay)


@app.callback(invoke_without_command=True)
def rehearse(
    context: typer.Context,
    scenario: Annotated[str, typer.Option("--scenario", help="What happens: NAME or FILE", show_default=False)] = "",
    seed: Seed = 0, yes: options.Yes = False,
    output: options.Output = "text", keep_workload: Keep = False, phase: Phase = "", list_: List = False, watch: Watch = False,
    free: Free = False, speed: Speed = 0.0, board: Board = False, port: Port = 0,
    hard: Hard = False, team: Team = False, join: Join = None, as_: As = "", role: AsRole = "",
    staging: Staging = "", confirm: Confirm = "", really: Really = False, image: Image = "", patched: Patched = "",
    player: Player = "", record: Record = None, html: Html = None,
    runbook: Runbook = "", ci: Ci = False, playbooks: options.Playbooks = None, junit: Junit = None,
) -> int:  # fmt: skip
    """Be led through the first scenario that you have not mastered: the same prompts, tables and evidence as on a real cluster.

    Without a terminal it runs the whole of playbook compromised-pod by itself, answers its questions, and says so.
    """
    if context.invoked_subcommand:
        return 0
    person = not (scenario or phase or keep_workload or yes or output != "text") and sys.stdin.isatty() and sys.stderr.isatty()
    scenario = scenario or _CLUSTERS[0]
    game = watch or free or team or hard or person or scenario not in _CLUSTERS
    rehearse_ways.check(rehearse_ways.given(context), game=game)
    if list_:
        return _list(output)
    if staging:
        from irkit.cli import rehearse_staging as real

        name = FIRST if scenario in _CLUSTERS else scenario
        return real.play(real.Wanted(context=staging, scenario=name, confirm=confirm, image=image, patched=patched, seed=seed, speed=speed,
                                     output=output, really=really, watch=watch))  # fmt: skip
    if ci:
        from irkit.cli import rehearse_ci

        return rehearse_ci.rehearse(playbooks, junit, "" if scenario in _CLUSTERS else scenario, seed, output)
    if runbook:
        from irkit.cli import rehearse_runbook

        return rehearse_runbook.rehearse(runbook, playbooks, seed, output, yes=yes)
    if join:
        from irkit.cli import rehearse_team

        return rehearse_team.join(join, as_, role)
    if game:
        mode = "watch" if watch else "team" if team else "free" if free else ""
        seen = port if board or port else None
        kept = Kept(player, record, html)
        name = scenario if scenario not in _CLUSTERS else FIRST if watch and not hard else _next(kept, hard)
        return _game(name, seed, output, speed, seen, mode=mode, yes=yes, kept=kept)
    return _run(scenario, seed, output, phase, yes=yes, keep_workload=keep_workload)


def _list(output: str) -> int:
    from irkit import wiring
    from irkit.cli import output as streams
    from irkit.game import loader

    found = sorted((loader.load(path) for path in loader.listed(wiring.scenarios()).values()), key=lambda s: (s.difficulty, s.name))
    if output == "json":
        streams.document([{"name": s.name, "title": s.title, "difficulty": s.difficulty, "playbooks": list(s.playbooks)} for s in found])
        return 0
    out = streams.stdout()
    width = max(len(s.name) for s in found)
    for one in found:
        out.line(f"{'*' * one.difficulty:<5}  {one.name:<{width}}  {printable(one.title, 200)}", hang=width + 9)
    return 0


def _next(kept: Kept, hard: bool) -> str:
    """The scenario that a player has not mastered yet, or the first one, once all are."""
    from irkit import wiring
    from irkit.cli import rehearse_next as following
    from irkit.cli.rehearse_live import named

    found = following.choose(wiring.settings().home, named(kept.player), hard=hard)
    return found.name if found else FIRST


def _game(name: str, seed: int, output: str, speed: float, port: int | None, *, mode: str, yes: bool, kept: Kept) -> int:
    """A game with a card at its end; without a mode, the person at the terminal is led through it, and irkit plays it where there is none."""
    from irkit import wiring
    from irkit.cli import gamebook
    from irkit.cli import rehearse_live as modes
    from irkit.game import loader

    found = loader.find(name, wiring.scenarios(), _CLUSTERS)
    led = not mode and not yes and output == "text" and sys.stdin.isatty() and sys.stderr.isatty()
    played = led or mode in ("free", "team")
    game = modes.Game(scenario=found, seed=seed, output=output, speed=speed, port=port, name=kept.player, mode=mode, html=kept.html,
                      book=gamebook.opened(found, kept.record, always=played))  # fmt: skip
    if mode == "team":
        from irkit.cli import rehearse_team

        return rehearse_team.host(game)
    if mode == "free":
        return modes.free(game)
    return modes.guided(game) if led else modes.watch(game)


def _run(scenario: str, seed: int, output: str, phase: str, *, yes: bool, keep_workload: bool) -> int:
    """One run of the first playbook on a built-in cluster, with a person at the terminal or nobody."""
    from irkit import wiring
    from irkit.app import rehearse as cases
    from irkit.cli import gamedir
    from irkit.cli import output as streams
    from irkit.cli.render import Progress
    from irkit.cli.running import tell

    err = streams.stderr()
    with gamedir.directory() as home, wiring.rehearsal(scenario, seed, home / "box") as box:
        configured = wiring.inside(box)
        request = cases.request(box.suspect, box.scenario.images.get("patched", ""), phase, keep_workload=keep_workload)
        alone = yes or not sys.stdin.isatty()
        if output == "text":
            err.line(f"A rehearsal: scenario {scenario}, seed {seed}, on a cluster inside this process. {box.scenario.title}.")
            err.line(f"$ {cases.words(request)}" + ("   (no terminal: every question is answered yes)" if alone else ""))
            if not alone and not phase:
                err.line("Where a vendor's new key is asked for, any text of eight characters or more will do.")
            err.line()
        ports = wiring.ports(configured, Progress(err, quiet=output == "json"), yes=alone, rehearsal=True)
        played = cases.play(ports, request)
        code = tell(played.result, output, configured)
    if output == "text":
        _after(err, request.playbook, played.report, configured.home)
    return code


def _after(err: Out, playbook: str, report: str, home: Path) -> None:
    if report:
        err.line(f"The post-mortem's draft: {report}")
    err.line("Then try:  irkit sandbox                 this cluster and its Vault, to play with from another terminal")
    err.line("           irkit rehearse --seed 7       other names, other siblings, and something planted")
    err.line(f"           irkit playbook show {playbook} --runbook")
    if err.terminal:
        from irkit.cli import rehearse_next as following
        from irkit.cli.rehearse_live import named

        following.hint(err, home, named(""))
    if shutil.which("irkit") is None:
        err.line(f"irkit is not on your PATH: export PATH={shlex.quote(str(Path(sys.argv[0]).absolute().parent))}:$PATH")
