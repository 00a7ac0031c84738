"""`irkit rehearse --staging CONTEXT`: a game on a real cluster that is not production, in a namespace of its own."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from irkit import wiring
from irkit.app import gameday, live
from irkit.app.staging import game as cases
from irkit.app.staging.ledger import Ledger
from irkit.app.staging.world import stray
from irkit.cli import dashboard, gamedir, games, rehearse_live
from irkit.cli import output as streams
from irkit.cli.output import Out
from irkit.errors import Declined, InterruptedRun, RefusedError, UsageError
from irkit.game import loader
from irkit.game.card import Scorecard, card
from irkit.game.cast import FILES
from irkit.game.course import Course, Moment
from irkit.settings import Settings
from irkit.text import plural, printable

SETTLES = 60.0
"""Seconds of the game that irkit's own response is given to show, where irkit plays."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """``confirm``: the context's name once more; ``image`` and ``patched``: of one repository; empty: the pause containers of Kubernetes."""

    context: str
    scenario: str
    confirm: str = ""
    image: str = ""
    patched: str = ""
    seed: int = 0
    speed: float = 0.0
    output: str = "text"
    really: bool = False
    watch: bool = False


def play(wanted: Wanted) -> int:
    """Look, say what would be made, have the context's name typed, play, and take everything away again."""
    rehearse_live.check_speed(wanted.speed)
    if bool(wanted.image) != bool(wanted.patched) or _repository(wanted.image) != _repository(wanted.patched):
        raise UsageError("--image and --patched go together, and are of one repository: what the pods run, and what they run when it is patched")
    if wanted.patched and "@sha256:" not in wanted.patched:
        raise UsageError("--patched is pinned by its digest, as in registry.example/pause@sha256:…: a redeployment takes nothing else")
    configured, err = wiring.settings(context=wanted.context), streams.stderr()
    scenario = loader.find(wanted.scenario, wiring.scenarios())
    with wiring.staging(configured) as ground:
        images = (wanted.image or cases.IMAGE, wanted.patched or cases.PATCHED)
        ready = cases.survey(ground, scenario, images, wanted.speed or 1.0, really=wanted.really)
        if wanted.watch and (line := stray(gameday.best(ready.staged.scenario), ready.made.namespace)):
            why = f"irkit does not type {printable(line, 200)!r} on a real cluster: it is not bound to the game's namespace; nothing was made"
            raise RefusedError(why, next="the same command without --watch, and play it yourself")
        _say(err, ready)
        _confirm(err, wanted)
        ledger = Ledger(configured.home)
        try:
            for left in cases.cleaned(ground, ledger, ready.identity.uid):
                if left.outcome in ("removed", "hangs", "changed"):
                    err.line(f"of a game before: {left.outcome} {left.namespace}{f': {left.why}' if left.why else ''}")
            with cases.world(ground, ready, ledger, wanted.seed, err.line) as suspect:
                found = _game(ground, ready, suspect, wanted, configured, err)
        except KeyboardInterrupt:
            kept = any(made.id == ready.made.id for made in ledger.open())
            what = f"namespace {ready.made.namespace} may still be there" if kept else "nothing of the game is left on the cluster"
            raise InterruptedRun(f"interrupted; {what}", next="irkit rehearse clean" if kept else "") from None
    found.unjudged = {printable(name, 120): why for name, why in ready.staged.without.items()}
    if wanted.output == "json":
        streams.document(found)
    else:
        out = streams.stdout()
        for name, why in found.unjudged.items():
            out.line(f"not judged on a real cluster: {name}: {why}", hang=4)
        games.tell(out, found)
    return 0


def _game(ground: cases.Ground, ready: cases.Ready, suspect: str, wanted: Wanted, configured: Settings, err: Out) -> Scorecard:
    namespace = ready.made.namespace
    with _pointed(configured, ready) as environment:
        stage, turns = ground.stage(namespace, suspect, ready.images, wanted.speed or 1.0)
        told = (lambda moment: _told(err, moment, watch=wanted.watch)) if wanted.output == "text" else (lambda moment: None)
        scenario = ready.staged.scenario
        course = Course(scenario, stage, turns, told)
        course.view.hears = False
        course.begin()
        with live.Live(course, kinds=frozenset() if wanted.watch else live.SEEN) as going:
            if wanted.watch:
                _watch(course, going)
            else:
                _wait(course, going, environment, err)
        course.end()
        return card(course, wanted.seed, "irkit" if wanted.watch else os.environ.get("USER", "player"))


def _wait(course: Course, going: live.Live, environment: dict[str, str], err: Out) -> None:
    """Others play, in another terminal, until it is over."""
    with rehearse_live.interruptible():
        try:
            for name, value in environment.items():
                err.line(f"export {name}={shlex.quote(value)}", whole=True)
            err.line("In another terminal, paste these lines, then use irkit or kubectl there. Ctrl-C here says that you are done.")
            suspect = course.view.cast.suspect
            err.line(f"  next:      kubectl describe pod {suspect.name} -n {suspect.namespace}")
            going.wait()
        except KeyboardInterrupt:
            going.end("ended by hand")
    err.line(f"{going.over}; how it stands now is how it ended")


def _watch(course: Course, going: live.Live) -> None:
    """irkit's own response, in the real time; then what it did is given time to show."""
    with games.hand() as do:
        gameday.respond(course, gameday.best(course.scenario), do, course.turns.wait)
    until = course.seconds + SETTLES
    while not going.check() and course.seconds < until:
        course.turns.wait(1.0)


@contextmanager
def _pointed(configured: Settings, ready: cases.Ready) -> Iterator[dict[str, str]]:
    """What another terminal needs; this process's environment has it, too, for the time of the block."""
    before = dict(os.environ)
    try:
        with gamedir.directory() as home:
            folder = home / "files"
            folder.mkdir()
            for name, text in ready.staged.scenario.world.files.items():
                (folder / name).write_text(text, "utf-8")
            settings = home / "config.yaml"
            settings.write_text("{}\n")  # whom the user's own settings tell, and where they put evidence, is no part of a game
            found = {"KUBECONFIG": wiring.pointed(configured, ready.made.namespace, home), "IRKIT_HOME": str(home / "irkit"),
                     "IRKIT_CONFIG": str(settings)}  # fmt: skip
            if ready.staged.scenario.world.files:
                found[FILES[1:]] = str(folder)
            for name in [name for name in os.environ if name.startswith(("VAULT_", "BAO_"))]:
                del os.environ[name]  # the Vault that the user works with is no part of a game
            os.environ.update(found)
            yield found
    finally:
        os.environ.clear()
        os.environ.update(before)


def _say(err: Out, ready: cases.Ready) -> None:
    """All that a person should know before anything is made."""
    staged, made = ready.staged, ready.made
    err.line(f"A game on a real cluster: {printable(staged.scenario.title, 200)}", style="bold")
    err.line(f"  cluster    {printable(made.context, 120)} ({printable(made.server, 200)})  uid {printable(made.cluster[:13], 40)}", hang=13)
    made_of = f"{plural(len(staged.objects), 'object')}, {plural(staged.pods, 'pod')} that do nothing"
    err.line(f"  makes      namespace {made.namespace}: {made_of}", hang=13)
    err.line("             and nothing anywhere else; at the end it is removed with all that is in it", hang=13)
    err.line("  time       the cluster's own; who wrote what is read from managedFields, and reading leaves no trace there", hang=13)
    for name, why in staged.without.items():
        err.line(f"  without    {printable(name, 120)}: {why}", hang=13)


def _confirm(err: Out, wanted: Wanted) -> None:
    """The context's name, typed. Raises Declined."""
    name = wanted.context
    if wanted.confirm:
        if wanted.confirm != name:
            raise Declined(f"--confirm says {printable(wanted.confirm, 120)}, and the context is {printable(name, 120)}; nothing was made")
        return
    again = f"the same command with --confirm {shlex.quote(printable(name, 120))}"
    if not sys.stdin.isatty():
        raise Declined("the context's name must be typed, and this is no terminal (--yes does not do); nothing was made", next=again)
    print(f"Type the name of the context to go on ({printable(name, 120)}): ", end="", file=err.stream, flush=True)
    try:
        typed = sys.stdin.readline()
    except KeyboardInterrupt:
        raise InterruptedRun("interrupted; nothing was made") from None
    if typed.rstrip("\r\n") != name:
        raise Declined("that is not the context's name; nothing was made", next="the same command again")


def _told(err: Out, moment: Moment, *, watch: bool) -> None:
    if watch or moment.kind in live.SEEN:
        dashboard.line(err, moment)


def _repository(image: str) -> str:
    first, _, last = image.partition("@")[0].rpartition("/")
    return f"{first}/{last.partition(':')[0]}"
