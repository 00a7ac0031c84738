"""The programs of the test cluster: found in ``KUBEBUILDER_ASSETS``, or built once and cached.

What is built lies outside the checkout, in ``$XDG_CACHE_HOME/irkit/controlplane``, in one directory for each component, named by
the version and a digest of the sources, so that a change builds again and nothing else does. Needs Go.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

VERSION = "1.35.4"
KWOK = "v0.8.0"
HELM = "v3.22.0"
VERSITYGW = "v1.8.0"  # an S3 server over a directory (tests/components/s3.py)
HERE = Path(__file__).resolve().parent
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
# Controllers, each with the module that has its CustomResourceDefinitions, and where. Of External Secrets Operator, 0.20.4 is the
# newest that is one module: 1.x needs sub-modules that no module proxy serves.
CONTROLLERS = {
    "external-secrets": ("0.20.4", "github.com/external-secrets/external-secrets", "config/crds/bases"),
    "cert-manager": ("1.21.2", "github.com/cert-manager/cert-manager", "deploy/crds"),
}
# What kwok does with nodes and pods. `pod-complete` is left out: it would end the pods of a Job at once.
STAGES = ("node/fast/node-initialize.yaml", "node/heartbeat/node-heartbeat.yaml", "pod/fast/pod-ready.yaml", "pod/fast/pod-delete.yaml")


class NotBuilt(Exception):
    """A program of the test cluster is not there yet."""


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "irkit" / "controlplane"


def _key(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _sources(module: Path) -> str:
    return _key(*((module / name).read_bytes() for name in ("go.mod", "go.sum", "main.go")))


def directory(component: str) -> Path:
    """Where ``controlplane``, ``kwok``, ``kubelet``, ``policyagent``, ``helm``, ``versitygw`` or a controller is when it is built."""
    if component == "helm":
        return cache() / f"helm-{HELM}"
    if component == "versitygw":
        return cache() / f"versitygw-{VERSITYGW}"
    if component == "kwok":
        return cache() / f"kwok-{KWOK}-{_key(*(s.encode() for s in STAGES))}"
    version, *_ = CONTROLLERS.get(component, (VERSION,))
    return cache() / f"{component}-{version}-{_sources(HERE if component == 'controlplane' else HERE / component)}"


def find(name: str) -> Path:
    """The path of a program, or of one of kwok's files. Raises NotBuilt."""
    given = Path(os.environ.get("KUBEBUILDER_ASSETS", "")) / name
    if os.environ.get("KUBEBUILDER_ASSETS") and given.exists():
        return given
    component = {"logs.crd.yaml": "kwok", "stages.yaml": "kwok"}.get(name, "controlplane" if name in COMPONENTS else name)
    path = directory(component) / name
    if not path.exists():
        raise NotBuilt(f"{name} is not built: run `make controlplane` (needs Go; 12 minutes on 2 cores, once)")
    return path


def crds(controller: str) -> Path:
    """The CustomResourceDefinitions of a controller. Raises NotBuilt."""
    return find(controller).with_name("crds.yaml")


def build() -> None:
    """Build what is not there. Two builds at once do the work twice, and neither harms the other."""
    given = Path(os.environ.get("KUBEBUILDER_ASSETS", ""))
    if not all((given / name).exists() for name in COMPONENTS):
        _once("controlplane", _build_controlplane)
    _once("kwok", _build_kwok)
    for component in ("kubelet", "policyagent"):
        _once(component, lambda made, component=component: _go_build(HERE / component, made / component))  # type: ignore[misc]
    _once("helm", _build_helm)
    _once("versitygw", lambda made: _go_install("github.com/versity/versitygw/cmd/versitygw", VERSITYGW, made))
    for controller in CONTROLLERS:  # last: all but their own tests can do without
        _once(controller, lambda made, controller=controller: _build_controller(controller, made))  # type: ignore[misc]


def _once(component: str, make: Callable[[Path], None]) -> None:
    final = directory(component)
    if final.exists():
        return
    print(f"building {component} → {final}", flush=True)
    unfinished = final.with_name(f"{final.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        make(unfinished)
        if not final.exists():
            unfinished.rename(final)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _go(*arguments: str | Path, cwd: Path, environ: Mapping[str, str] = {}) -> str:
    command = ["go", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env={**os.environ, "CGO_ENABLED": "0", **environ}, check=True, stdout=subprocess.PIPE, text=True).stdout


def _go_install(program: str, version: str, made: Path) -> None:
    _go("install", "-trimpath", "-ldflags=-s -w", f"{program}@{version}", cwd=made, environ={"GOBIN": str(made), "GOWORK": "off"})


def _go_build(module: Path, target: Path) -> None:
    stamp = [f"-X {package}.gitVersion=v{VERSION}" for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")]
    _go("build", "-trimpath", "-ldflags", " ".join(["-s", "-w", *stamp]), "-o", target, ".", cwd=module)


def _build_controlplane(made: Path) -> None:
    _go_build(HERE, made / "controlplane")
    for name in COMPONENTS:
        (made / name).symlink_to("controlplane")


def _build_kwok(made: Path) -> None:
    module = "sigs.k8s.io/kwok"
    _go("install", f"{module}/cmd/kwok@{KWOK}", cwd=made, environ={"GOBIN": str(made)})
    sources = Path(json.loads(_go("mod", "download", "-json", f"{module}@{KWOK}", cwd=made))["Dir"]) / "kustomize"
    (made / "stages.yaml").write_text("\n---\n".join((sources / "stage" / name).read_text() for name in STAGES))
    shutil.copyfile(sources / "crd/bases/kwok.x-k8s.io_logs.yaml", made / "logs.crd.yaml")


def _build_helm(made: Path) -> None:
    _go("install", "-trimpath", "-ldflags=-s -w", f"helm.sh/helm/v3/cmd/helm@{HELM}", cwd=made, environ={"GOBIN": str(made)})


def _build_controller(name: str, made: Path) -> None:
    _go("build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", made / name, ".", cwd=HERE / name, environ={"GOWORK": "off"})
    _, module, folder = CONTROLLERS[name]
    sources = Path(_go("list", "-m", "-f", "{{.Dir}}", module, cwd=HERE / name).strip()) / folder
    (made / "crds.yaml").write_text("\n---\n".join(f.read_text() for f in sorted(sources.glob("*_*.yaml"))))
