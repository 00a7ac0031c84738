"""The types that a step's field may have besides ``str``, ``int``, ``bool``, ``float``, ``tuple[str, ...]`` and ``Literal``.

A playbook writes ``${name}`` there; the binder puts the bound reference in its place. ``${pod}`` is a `Pod`,
``${pod.siblings}`` a `Pods`, ``${pod.workload}`` a `Workload` (of a bare pod: the pod itself), ``${node}`` a `Node`.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from irkit.model.kube import ObjectRef

Pod: TypeAlias = Annotated[ObjectRef, "pod"]
Pods: TypeAlias = Annotated[tuple[ObjectRef, ...], "pods"]
Workload: TypeAlias = Annotated[ObjectRef, "workload"]
Node: TypeAlias = Annotated[ObjectRef, "node"]
