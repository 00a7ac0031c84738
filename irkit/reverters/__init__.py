"""What would undo a change of a workload; `RECOGNISERS` is all that irkit knows."""

from __future__ import annotations

from irkit.model.kube import Obj, ObjectRef
from irkit.ports import ClusterReader
from irkit.reverters.argocd import ArgoCd
from irkit.reverters.base import Recogniser, Reverter
from irkit.reverters.flux import Flux
from irkit.reverters.helm import Helm
from irkit.reverters.hpa import Hpa
from irkit.reverters.keda import Keda
from irkit.reverters.operator import Operator

RECOGNISERS: tuple[Recogniser, ...] = (Hpa(), Keda(), ArgoCd(), Flux(), Helm(), Operator())


def find_all(ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> tuple[Reverter, ...]:
    """Everything that would undo a change of ``obj``, the workload ``ref``.

    Costs one list of HPAs; KEDA's, Argo CD's and Flux's objects are read only where something shows that they are at work.
    """
    return tuple(r for recogniser in RECOGNISERS for r in recogniser.find(ref, obj, cluster))
