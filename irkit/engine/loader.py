"""Reads a playbook: bytes in, a checked `Playbook` out, or every mistake at once as ``file:line:col: sentence``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from irkit.engine import grammar, parameters, positions
from irkit.engine.positions import Fields, Mistakes, Node, Scalar, compose
from irkit.engine.shapes import REFUSED, Context, known
from irkit.errors import PlaybookError
from irkit.model.plan import StepSpec
from irkit.model.playbook import PHASES, TARGETS, Parameter, Playbook
from irkit.text import printable


def load(path: Path, *, kinds: grammar.Kinds | None = None, runbooks: Sequence[Path] = ()) -> Playbook:
    """The playbook in a file. Its runbook is sought beside it, in ``../runbooks``, then in ``runbooks``.

    Raises PlaybookError with all mistakes; that the file can't be read is one, too.
    """
    return loads(positions.read(path), str(path), kinds=kinds, runbooks=(*places(path), *runbooks))


def places(path: Path) -> tuple[Path, Path]:
    """Where the runbook of a playbook is sought."""
    folder = path.absolute().parent
    return folder, folder.parent / "runbooks"


def loads(source: bytes, file: str, *, kinds: grammar.Kinds | None = None, runbooks: Sequence[Path] | None = None) -> Playbook:
    """The playbook in ``source``, called ``file`` in mistakes. ``runbooks`` None: its runbook is not sought, as in `resume`.

    Raises PlaybookError with all mistakes.
    """
    if kinds is None:
        from irkit.steps import KINDS

        kinds = KINDS
    mistakes = Mistakes(file)
    root = compose(source, mistakes)
    context = Context(mistakes, parameters.names(_declared(root)))
    read = grammar.playbook(tuple(kinds)).read(root, "playbook", context)
    if not isinstance(root, Fields) or read is REFUSED:
        raise PlaybookError(mistakes.found)
    asked = tuple(_parameters(root, read.get("parameters", {}), context))
    steps = tuple(_steps(root, read.get("phases", {}), context))
    _needed(steps, context)
    _evidence_first(steps, {kind.kind: kind for kind in kinds}, context)
    meta: Mapping[str, Any] = read.get("metadata", {})
    if runbooks is not None and "runbook" in meta:
        _has_runbook(root, meta["runbook"], runbooks, context)
    if mistakes.found:
        raise PlaybookError(mistakes.found)
    return Playbook(name=meta["name"], title=meta["title"], severity=meta["severity"], runbook=meta["runbook"], steps=steps,
                    references=meta.get("references", ()), parameters=asked, source=source, path=file,
                    approval=meta.get("approval", "one-person"))  # fmt: skip


def _declared(root: Node) -> Iterator[tuple[str, str]]:
    """Names and types of the parameters, before anything was checked."""
    node = root.get("parameters") if isinstance(root, Fields) else None
    for key, value in node.entries if isinstance(node, Fields) else ():
        kind = value.get("type") if isinstance(value, Fields) else None
        named = kind.value if isinstance(kind, Scalar) and isinstance(kind.value, str) else ""
        yield str(key.value), named if named in (*grammar.DEFAULTS, *TARGETS) else parameters.ANY


def _parameters(root: Fields, read: Mapping[str, Any], context: Context) -> Iterator[Parameter]:
    declared = root.get("parameters")
    target: Scalar | None = None
    for key, _ in declared.entries if isinstance(declared, Fields) else ():
        values = read.get(str(key.value), REFUSED)
        if values is REFUSED or "type" not in values:
            continue
        name, kind, default = str(key.value), values["type"], values.get("default")
        if kind in TARGETS:
            if target is not None:
                context.mistakes.at(key, f"a playbook has one target, and {str(target.value)!r} on line {target.line} is it already")
            target = key
        yield Parameter(name, kind, values.get("required", False), _default(kind, default, values, context), values.get("help", ""))


def _default(kind: str, default: Node | None, values: Mapping[str, Any], context: Context) -> Any:
    if default is None:
        return None
    if kind not in grammar.DEFAULTS:
        context.mistakes.at(default, f"{parameters.label(kind)} has no default: the command line names it")
        return None
    if values.get("required"):
        context.mistakes.at(default, "a required parameter has no default; leave one of the two out")
        return None
    read = grammar.DEFAULTS[kind].read(default, "default", context)
    return None if read is REFUSED else read


def _steps(root: Fields, read: Mapping[str, Any], context: Context) -> Iterator[StepSpec]:
    _phases_in_order(root, context)
    lines: dict[str, int] = {}
    for phase in PHASES:
        for step in read.get(phase, ()):
            node = step[""]
            if (name := step.get("id")) in lines:
                context.mistakes.at(node.get("id"), f"duplicate step id {name!r}; it is on line {lines[name]} already")
            elif name is not None:
                lines[name] = node.line
            if name is not None and "step" in step:
                arguments = step.get("with", {})
                yield StepSpec(id=name, step=step["step"], phase=phase, arguments=arguments if isinstance(arguments, dict) else {},
                               confirm=step.get("confirm"), on_failure=step.get("on-failure", "stop"), timeout=step.get("timeout", 120.0),
                               needs=step.get("needs", ()), line=node.line, column=node.column)  # fmt: skip


def _needed(steps: Sequence[StepSpec], context: Context) -> None:
    """What a step needs comes before it."""
    for number, step in enumerate(steps):
        earlier = tuple(s.id for s in steps[:number])
        for name in step.needs:
            if name not in earlier:
                context.mistakes.say(step.line, step.column, f"{step.id} needs {printable(name, 60)!r}, no step before it{known(name, earlier)}")


def _phases_in_order(root: Fields, context: Context) -> None:
    phases = root.get("phases")
    if not isinstance(phases, Fields):
        return
    if not phases.entries:
        context.mistakes.at(phases, f"'phases' is empty; it may have {', '.join(PHASES)}")
    latest = -1
    for key, _ in phases.entries:
        index = PHASES.index(str(key.value)) if key.value in PHASES else latest
        if index < latest:
            context.mistakes.at(key, f"phase {PHASES[index]!r} runs before {PHASES[latest]!r}; write the phases in the order in which they run")
        latest = max(latest, index)


def _evidence_first(steps: Sequence[StepSpec], kinds: Mapping[str, type[Any]], context: Context) -> None:
    """No step may end pods before an earlier one collects them (`design.md` law 4). Looked at again in every run."""
    collected: set[str] = set()
    for step in steps:
        kind = kinds[step.step]
        ended = step.arguments.get(getattr(kind, "ends", ""))
        if isinstance(ended, str) and not _covering(ended) & collected:
            context.mistakes.say(step.line, step.column, f"{step.id} ends {_pods_of(ended, context)} before anything collects them")
        if _keeps(kind, step):
            kept = step.arguments.get(getattr(kind, "collects", ""), ())
            collected.update((kept,) if isinstance(kept, str) else kept)


def _keeps(kind: type[Any], step: StepSpec) -> bool:
    """Whether a step's collection has what vanishes with a pod."""
    vital: Mapping[str, tuple[str, ...]] = getattr(kind, "vital", {})
    return all(set(needed) <= set(step.arguments.get(field, needed)) for field, needed in vital.items())


def _covering(ended: str) -> set[str]:
    """The references whose collection covers all pods that end with ``ended``."""
    name = ended[2:-1]
    if name.endswith(".workload"):
        return {"${" + name.removesuffix(".workload") + ".siblings}"}
    return {ended, "${" + name + ".siblings}", "${" + name + ".pods}"}


def _pods_of(ended: str, context: Context) -> str:
    return f"the pods of {ended}" if context.names.get(ended[2:-1]) == "workload" else ended


def _has_runbook(root: Fields, name: str, runbooks: Sequence[Path], context: Context) -> None:
    if any((folder / name).is_file() for folder in runbooks):
        return
    metadata = root.get("metadata")
    node = metadata.get("runbook") if isinstance(metadata, Fields) else None
    beside = [path.name for folder in runbooks for path in sorted(folder.glob("*.md"))[:100]]
    hint = known(name, tuple(beside)) if beside else ""
    context.mistakes.at(node or root, f"no runbook {name!r} beside the playbook or in ../runbooks{hint}")
