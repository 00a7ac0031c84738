"""The shape of a playbook, made from the types that it is loaded into and from the step kinds.

What a step's field may hold follows from its type; a kind needs nothing else to be written in a playbook. Three class
attributes of a kind say what it does to evidence, each optional:

- ``ends``: the field whose pods (or whose workload's pods) end;
- ``collects``: the field whose pods' evidence is kept;
- ``vital``: for fields that are lists, the values without which a collection does not count as one.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from irkit import API_VERSION
from irkit.engine import parameters
from irkit.engine.positions import Fields, Node, Scalar
from irkit.engine.shapes import REFUSED, Choice, Context, Duration, Field, List, Literal, Record, Reference, Shape, Text, refuse, shown
from irkit.model.plan import Confirm, OnFailure
from irkit.model.playbook import PHASES, Approval, ParameterType, Severity

Kinds = Sequence[type[Any]]

ID = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
PARAMETER = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ID_FORM = "lower-case letters, digits and dashes, at most 63"
_LINE = Text(limit=200)


class Anything(msgspec.Struct, frozen=True):
    """Taken as it is: a default whose type is judged later, or the arguments of a step kind that is not known."""

    def read(self, node: Node, what: str, context: Context) -> Any:
        return node

    def schema(self) -> dict[str, Any]:
        return {}


class Named(msgspec.Struct, frozen=True):
    """A mapping from names to values of one shape."""

    of: Shape

    def read(self, node: Node, what: str, context: Context) -> Any:
        if not isinstance(node, Fields):
            return refuse(node, context, f"{what!r} takes a mapping, not {shown(node)}")
        values = {}
        for key, value in node.entries:
            name = Text(PARAMETER, _ID_FORM).read(key, "parameter name", context)
            if name == "incident":
                context.mistakes.at(key, "'incident' is what a run itself is bound to; name the parameter otherwise")
            values[str(key.value)] = self.of.read(value, str(key.value), context)
        return values

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "propertyNames": {"pattern": f"^{PARAMETER}$"}, "additionalProperties": self.of.schema()}


class AnyStep(msgspec.Struct, frozen=True):
    """A step; what ``with`` takes depends on its kind."""

    of: Mapping[str, Record]
    unknown: Record

    def read(self, node: Node, what: str, context: Context) -> Any:
        """The step's fields and, under ``""``, its node."""
        kind = node.get("step") if isinstance(node, Fields) else None
        named = kind.value if isinstance(kind, Scalar) else None
        read = self.of.get(str(named), self.unknown).read(node, what, context)
        return read if read is REFUSED else {**read, "": node}

    def schema(self) -> dict[str, Any]:
        cases = [
            {
                "if": {"properties": {"step": {"const": kind}}, "required": ["step"]},
                "then": {"properties": {"with": record.fields["with"].shape.schema()}, **_needs_with(record)},
            }
            for kind, record in self.of.items()
        ]
        return {**self.unknown.schema(), "allOf": cases}


def _needs_with(record: Record) -> dict[str, Any]:
    return {"required": ["with"]} if record.fields["with"].required else {}


def shape_of(hint: Any, where: str) -> Shape:
    """The shape of a step's field of type ``hint``. Raises TypeError for a type that no playbook can write."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated and hint.__metadata__[0] in ("pod", "pods", "workload", "node"):
        return Reference(hint.__metadata__[0])
    if origin is typing.Literal:
        return Choice(args)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return List(shape_of(args[0], where))
    if hint is str:
        return Text(line=False, fills=True)
    if hint in (bool, int, float):
        return Literal(hint, fills=True)
    raise TypeError(f"{where}: a playbook can't write a {hint!r}")


def fields_of(kind: type[Any]) -> dict[str, Field]:
    """What ``with`` of a step kind may hold, in the order of the class."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {f.name.replace("_", "-"): _field(kind, f, hints[f.name]) for f in dataclasses.fields(kind)}


def _field(kind: type[Any], of: dataclasses.Field[Any], hint: Any) -> Field:
    default = of.default_factory() if of.default_factory is not dataclasses.MISSING else of.default
    required = default is dataclasses.MISSING
    written = None if required else list(default) if isinstance(default, tuple) else default
    return Field(shape_of(hint, f"{kind.__name__}.{of.name}"), required=required, default=written or None)


@functools.lru_cache(maxsize=4)
def playbook(kinds: tuple[type[Any], ...]) -> Record:
    """The shape of a whole playbook whose steps are of ``kinds``."""
    names = tuple(kind.kind for kind in kinds)
    steps = AnyStep({kind.kind: _step(names, fields_of(kind), kind.kind) for kind in kinds}, _step(names, None, "a step"))
    return Record(
        {
            "apiVersion": Field(Choice((API_VERSION,)), required=True),
            "kind": Field(Choice(("Playbook",)), required=True),
            "metadata": Field(_METADATA, required=True),
            "parameters": Field(Named(_PARAMETER), help="What the playbook asks for: its TARGET, and values given as -p name=value."),
            "phases": Field(_phases(steps), required=True, help="The steps, by phase, in the order of the phases."),
        },
        "a playbook",
    )


def _phases(steps: Shape) -> Record:
    return Record({phase: Field(List(steps, loose=True)) for phase in PHASES}, "'phases'")


def _step(kinds: tuple[str, ...], arguments: dict[str, Field] | None, kind: str) -> Record:
    needed = arguments is not None and any(field.required for field in arguments.values())
    taken: Shape = Anything() if arguments is None else Record(arguments, f"'with' of {kind}")
    return Record(
        {
            "id": Field(Text(ID, _ID_FORM), required=True, help="The step's name, once in a playbook; its runbook's heading."),
            "step": Field(Choice(kinds, "step kind"), required=True, help="The kind of step: which end state is wished for."),
            "with": Field(taken, required=needed, help="The parameters of the step."),
            "confirm": Field(Choice(typing.get_args(Confirm)), help="Whether a person is asked first; default: as the kind says."),
            "on-failure": Field(Choice(typing.get_args(OnFailure)), help="Whether later steps run when this one fails.", default="stop"),
            "timeout": Field(Duration(), help="How long the step may take.", default="2m"),
            "needs": Field(List(Text(ID, _ID_FORM)), help="Earlier steps; where one of them failed, this one is not done."),
        },
        "a step",
    )


_METADATA = Record(
    {
        "name": Field(Text(ID, _ID_FORM), required=True, help="The name under which the playbook is called."),
        "title": Field(_LINE, required=True, help="The name for people."),
        "severity": Field(Choice(typing.get_args(Severity)), required=True, help="How bad such an incident is."),
        "approval": Field(Choice(typing.get_args(Approval)), default="one-person",
                          help="How many people it takes where a chat or an alert asks for it; whoever asked is one of them."),
        "runbook": Field(Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.md", "the name of a Markdown file"), required=True,
                         help="The human twin: a file beside the playbook or in ../runbooks/."),
        "references": Field(List(_LINE, empty=True), help="Techniques and documents, as in T1610 (MITRE ATT&CK for Containers)."),
    },
    "'metadata'",
)  # fmt: skip

_PARAMETER = Record(
    {
        "type": Field(Choice(typing.get_args(ParameterType), "parameter type"), required=True, help="What may be given."),
        "required": Field(Literal(bool), help="Whether a run without it is refused.", default=False),
        "default": Field(Anything(), help="Its value where none is given."),
        "help": Field(_LINE, help="What it is for."),
    },
    "a parameter",
)

DEFAULTS: dict[str, Shape] = {
    "image": Text(parameters.IMAGE.pattern, parameters.expected("image")), "string": Text(line=False), "integer": Literal(int),
    "duration": Duration(), "boolean": Literal(bool),
}  # fmt: skip
"""The parameter types that may have a default, and its shape."""
