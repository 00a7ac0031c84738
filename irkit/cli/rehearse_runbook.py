"""`irkit rehearse --runbook`: a playbook's human twin, block by block on the rehearsal cluster, and what holds after each step."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from irkit import API_VERSION, wiring
from irkit.app import drill as drills
from irkit.app.drill import Drill, Task
from irkit.app.live import Live
from irkit.cli import gamedir, games, output
from irkit.cli.output import Out
from irkit.cli.shell import Shell, environment
from irkit.engine import library
from irkit.errors import InterruptedRun, UsageError
from irkit.game import world
from irkit.game.course import Course
from irkit.game.runbook import Part
from irkit.text import plural, printable


class Held(msgspec.Struct, frozen=True):
    """An end state, by its kind, and how it stands."""

    state: str
    holds: bool
    why: str


class Played(msgspec.Struct, frozen=True):
    """One block. ``code``: of its last command; null: it was not run here. ``why``: why it was left out."""

    page: str
    tags: tuple[str, ...]
    code: int | None
    why: str = ""


class Step(msgspec.Struct, frozen=True):
    id: str
    blocks: list[Played]
    states: list[Held]


class Report(msgspec.Struct, kw_only=True, rename="camel"):
    """The document of ``irkit rehearse --runbook -o json``."""

    api_version: str = API_VERSION
    kind: str = "RunbookDrill"
    playbook: str
    runbook: str
    holds: bool
    steps: list[Step]
    states: list[Held]


class _Quit(Exception):
    """The person at the terminal has had enough."""


def rehearse(name: str, playbooks: Path | None, seed: int, form: str, *, yes: bool) -> int:
    """Walk through a runbook. Exit code 0: all end states of its playbook hold after it; 5: some do not. Raises UsageError."""
    configured = wiring.settings(playbooks=playbooks)
    program = _programs()
    playbook = library.find(name, configured)
    page = library.runbook(playbook)
    alone = yes or form == "json" or not sys.stdin.isatty()
    with games.staged(drills.scenario(playbook), seed) as (stage, turns), gamedir.directory() as home:
        world.prepare(drills.scenario(playbook), stage, turns, seed)
        course = Course(drills.scenario(playbook), stage, turns)
        course.begin()
        drill = Drill(playbook, page.name, reader(page), course.view)
        out = output.stderr()
        walk = Walk(drill, out, alone=alone, quiet=form == "json", look=lambda: _look(course))
        walk.open(page, stage.environment)
        with Live(course), Shell(program, environment(stage.environment, home), home, walk.heard) as shell:
            steps = walk.through(shell)
            _look(course)
            held = _held(drill)
    return _tell(Report(playbook=playbook.name, runbook=str(page), holds=all(h.holds for h in held), steps=steps, states=held), form)


def _programs() -> str:
    """The shell. Raises UsageError where something is missing that every page needs."""
    if shutil.which("kubectl") is None:
        raise UsageError(
            "a runbook is made of kubectl's commands, and kubectl is not on your PATH",
            next="install kubectl: https://kubernetes.io/docs/tasks/tools/",
        )
    found = shutil.which("bash") or shutil.which("sh")
    if found is None:
        raise UsageError("a runbook needs a shell, and neither bash nor sh is on your PATH")
    return found


def reader(page: Path) -> Callable[[str], str]:
    """The text of a page, or of one beside it, or of a built-in one; pages name each other without folders."""

    def read(name: str) -> str:
        for folder in (page.parent, library.builtin("runbooks")):
            path = folder / Path(name).name
            if path.is_file():
                return path.read_text(encoding="utf-8", errors="replace")
        return ""

    return read


def _look(course: Course) -> None:
    with course.turns.take():
        course.view.look()


def _held(drill: Drill, id: str = "") -> list[Held]:
    return [Held(state.kind, seen.holds, seen.why) for state, seen in drill.check(id)]


class Walk:
    """Somebody at a terminal, or nobody: ``alone``, every block of the way is run."""

    def __init__(self, drill: Drill, out: Out, *, alone: bool, quiet: bool, look: Callable[[], None]) -> None:
        self._drill, self._out, self._alone, self._quiet, self._look = drill, out, alone, quiet, look
        self._elsewhere = False  # the person goes on in a terminal of their own, whose names this shell does not know

    def open(self, page: Path, environ: Mapping[str, str]) -> None:
        """What this is, and what will be run on this machine."""
        if self._quiet:
            return
        self._out.line(
            f"The runbook of playbook {printable(self._drill.playbook.name)}, by hand, on a cluster inside this process: {printable(page)}"
        )
        self._out.line("irkit only looks at what comes of it. The blocks of this page, and of those that it says to do, are for a shell.")
        if self._alone:
            self._out.line("Nobody is asked: each block of the way is run by bash on this machine, with this cluster and no other.")
            return
        self._out.line("For each you say whether irkit runs it, with bash on this machine and this cluster and no other, or whether you did it")
        self._out.line("in another terminal. There, paste this first:")
        for name, value in environ.items():
            self._out.line(f"export {name}={shlex.quote(value)}", whole=True)

    def heard(self, line: str) -> None:
        if not self._quiet:
            self._out.line(f"    {printable(line, 300)}", style="dim")

    def through(self, shell: Shell) -> list[Step]:
        steps: list[Step] = []
        try:
            steps.extend(self._part(part, shell) for part in self._drill.parts())
        except _Quit:
            self._say("You left it there.")
        except (KeyboardInterrupt, EOFError):
            raise InterruptedRun("interrupted; the cluster of this drill is gone", next="irkit rehearse --runbook") from None
        return steps

    def _part(self, part: Part, shell: Shell) -> Step:
        self._say()
        self._say(f"## {printable(part.section.title)}", "bold")
        done = []
        for task in self._drill.tasks(part):
            done.append(self._task(task, shell))
            self._look()
        if not done:
            self._say("  Nothing to paste here: it is done by people, outside of the cluster.")
        held = _held(self._drill, part.id)
        for one in held:
            self._say(f"  {'holds  ' if one.holds else 'missing'}  {one.state}: {one.why}", "green" if one.holds else "red")
        return Step(part.id, done, held)

    def _task(self, task: Task, shell: Shell) -> Played:
        block = task.block
        if task.block.before:
            self._say(f"  {printable(' '.join(block.before.split()), 400)}")
        for line in ("```sh", *task.script.rstrip("\n").split("\n"), "```") if not self._quiet else ():
            self._out.line(printable(line, 2000), whole=True)  # from the first column: it is pasted, and its heredocs end there
        answer = ("s" if task.why else "") if self._alone else self._ask(task)
        if answer:
            why = task.why or ("done by hand" if answer == "d" else "left out")
            self._say(f"  not run here: {printable(why)}")
            return Played(block.page, block.tags, None, why)
        if self._alone and ("rollout restart" in block.script or "date +%s" in block.script):
            time.sleep(1)  # two restarts, or two syncs, within the same second are one; nobody types that fast
        ran = shell.run(task.script)
        if ran.code is None:
            raise UsageError(
                f"a block of {printable(block.page)} ended the shell, or did not end in time",
                next=f"read it: irkit playbook show {printable(self._drill.playbook.name)} --runbook",
            )
        if ran.code:
            self._say(f"  it ended with {ran.code}", "red")
        return Played(block.page, block.tags, ran.code)

    def _ask(self, task: Task) -> str:
        """Empty: run it here; ``d``: it was done elsewhere; ``s``: it is left out. Raises _Quit."""
        other = "d you did it" if self._elsewhere else "r runs it here"
        if task.why:
            words = f"{task.why}: Enter leaves it out, {other}, q quits"
        elif self._elsewhere:
            words = "Enter when you did it, s leaves it out, q quits"
        else:
            words = "Enter runs it here, d you did it in the other terminal, s leaves it out, q quits"
        while True:
            print(f"  [{words}] ", end="", file=self._out.stream, flush=True)
            typed = sys.stdin.readline()
            if not typed:
                raise EOFError
            word = typed.strip().lower()
            if word == "q":
                raise _Quit
            if word == "d" or (not word and self._elsewhere and not task.why):
                self._elsewhere = True
                return "d"
            if word == "s" or (not word and task.why):
                return "s"
            if word in ("", "r") and not self._elsewhere:
                return ""
            self._say("  That is none of them." if word != "r" else "  irkit's shell does not know the names that yours knows by now: go on there.")

    def _say(self, text: str = "", style: str = "") -> None:
        if not self._quiet:
            self._out.line(text, style=style, hang=4)


def _tell(report: Report, form: str) -> int:
    if form == "json":
        output.document(report)
        return 0 if report.holds else 5
    out, missing = output.stdout(), [h for h in report.states if not h.holds]
    out.line()
    if not missing:
        out.line(f"All {plural(len(report.states), 'end state')} of {printable(report.playbook)} hold: its runbook does what it says.", style="green")
    else:
        out.line(f"5: {len(missing)} of {plural(len(report.states), 'end state')} of {printable(report.playbook)} do not hold:", style="red")
        for one in missing:
            out.line(f"   {one.state}: {one.why}", hang=6)
    out.line(
        "  next:    irkit rehearse --watch   (the same by irkit)"
        if not missing
        else f"  next:    irkit playbook show {printable(report.playbook)} --runbook"
    )
    return 0 if report.holds else 5
