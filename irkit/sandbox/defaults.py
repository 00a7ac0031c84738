"""What the API server fills in before it validates (the `SetDefaults_*` functions and a few admission plugins).

Only what a client can see and irkit or kubectl looks at.
"""

from __future__ import annotations

import base64
from typing import Any

from irkit.model.kube import Obj
from irkit.sandbox.failures import bad_request


def complete(obj: Obj) -> Obj:
    """``obj`` with defaults; it is not changed."""
    fill = _KINDS.get(obj.get("kind", ""))
    return fill(obj) if fill else obj


def _with(obj: Obj, **defaults: Any) -> Obj:
    return {**obj, **{key: value for key, value in defaults.items() if obj.get(key) is None}}


def pod_spec(spec: Obj) -> Obj:
    filled = _with(spec, restartPolicy="Always", terminationGracePeriodSeconds=30, dnsPolicy="ClusterFirst", securityContext={},
                   schedulerName="default-scheduler", enableServiceLinks=True)  # fmt: skip
    for field in ("containers", "initContainers"):
        if isinstance(spec.get(field), list):
            filled[field] = [_container(c) for c in spec[field]]
    return filled


def _container(container: Obj) -> Obj:
    image = container.get("image", "")
    pull = "IfNotPresent" if ":" in image.rpartition("/")[2] and not image.endswith(":latest") else "Always"
    filled = _with(container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File", imagePullPolicy=pull,
                   resources={})  # fmt: skip
    if filled.get("ports"):
        filled["ports"] = [_with(port, protocol="TCP") for port in filled["ports"]]
    return filled


def _pod(obj: Obj) -> Obj:
    spec = pod_spec(obj.get("spec") or {})
    account = spec.get("serviceAccountName") or "default"
    tolerations = [{"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
                   for key in ("not-ready", "unreachable")]  # fmt: skip
    spec = _with(
        spec, serviceAccountName=account, serviceAccount=account, priority=0, preemptionPolicy="PreemptLowerPriority", tolerations=tolerations
    )
    return {**obj, "spec": spec, "status": _with(obj.get("status") or {}, phase="Pending", qosClass="Burstable" if _requests(spec) else "BestEffort")}


def _requests(spec: Obj) -> bool:
    return any((c.get("resources") or {}).get("requests") or (c.get("resources") or {}).get("limits") for c in spec.get("containers") or ())


def _templated(obj: Obj, **defaults: Any) -> Obj:
    spec = _with(obj.get("spec") or {}, **defaults)
    template = spec.get("template")
    if isinstance(template, dict):
        spec["template"] = {**template, "metadata": template.get("metadata") or {}, "spec": pod_spec(template.get("spec") or {})}
    return {**obj, "spec": spec}


def _deployment(obj: Obj) -> Obj:
    strategy = (obj.get("spec") or {}).get("strategy") or {"type": "RollingUpdate"}
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        rolling = _with(strategy.get("rollingUpdate") or {}, maxUnavailable="25%", maxSurge="25%")
        strategy = {**strategy, "type": "RollingUpdate", "rollingUpdate": rolling}
    filled = _templated(obj, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    filled["spec"]["strategy"] = strategy
    return filled


def _stateful_set(obj: Obj) -> Obj:
    return _templated(obj, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady",
                      updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                      persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"})  # fmt: skip


def _daemon_set(obj: Obj) -> Obj:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    return _templated(obj, revisionHistoryLimit=10, updateStrategy=strategy)


def _job(obj: Obj) -> Obj:
    given = obj.get("spec") or {}
    return _templated(obj, parallelism=1, completions=given.get("parallelism") or 1, backoffLimit=6, completionMode="NonIndexed", suspend=False,
                      manualSelector=False, podReplacementPolicy="TerminatingOrFailed")  # fmt: skip


def identify(obj: Obj) -> Obj:
    """What depends on the uid that the object has now: the labels and the selector of a Job (strategy.go of batch/job)."""
    if obj["kind"] != "Job" or obj["spec"].get("manualSelector"):
        return obj
    name, uid = obj["metadata"]["name"], obj["metadata"]["uid"]
    labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name, "controller-uid": uid, "job-name": name}
    template = obj["spec"]["template"]
    inside = {**template["metadata"], "labels": {**(template["metadata"].get("labels") or {}), **labels}}
    spec = {**obj["spec"], "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}, "template": {**template, "metadata": inside}}
    return {**obj, "metadata": {**obj["metadata"], "labels": {**labels, **(obj["metadata"].get("labels") or {})}}, "spec": spec}


def _cron_job(obj: Obj) -> Obj:
    spec = _with(obj.get("spec") or {}, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    if isinstance(spec.get("jobTemplate"), dict):
        job = spec["jobTemplate"]
        spec["jobTemplate"] = {**job, "metadata": job.get("metadata") or {}, "spec": _templated(job)["spec"]}
    return {**obj, "spec": spec}


def _autoscaler(obj: Obj) -> Obj:
    usual = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    spec = _with(obj.get("spec") or {}, minReplicas=1)
    return {**obj, "spec": {**spec, "metrics": spec.get("metrics") or [usual]}}


def _network_policy(obj: Obj) -> Obj:
    spec = dict(obj.get("spec") or {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for direction in ("ingress", "egress"):
        if isinstance(spec.get(direction), list):
            spec[direction] = [_rule(rule) for rule in spec[direction]]
    spec.setdefault("podSelector", {})
    return {**obj, "spec": spec}


def _rule(rule: Any) -> Any:
    if not isinstance(rule, dict) or not isinstance(rule.get("ports"), list):
        return rule
    return {**rule, "ports": [_with(port, protocol="TCP") if isinstance(port, dict) else port for port in rule["ports"]]}


def _secret(obj: Obj) -> Obj:
    filled = _with(obj, type="Opaque")
    if given := filled.pop("stringData", None):
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in given.items()}
        filled["data"] = {**(filled.get("data") or {}), **encoded}
    if data := filled.get("data"):
        filled["data"] = {key: _canonical(value) for key, value in data.items()}
    return filled


def _canonical(value: Any) -> Any:
    """Bytes are kept as bytes: base64 with line breaks, or with bits that say nothing, is read as encoding/json does, and shown in its one form."""
    if not isinstance(value, str):
        return value
    try:
        return base64.b64encode(base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)).decode()
    except ValueError:
        raise bad_request('Secret in version "v1" cannot be handled as a Secret: illegal base64 data') from None


def _service(obj: Obj) -> Obj:
    spec = _with(obj.get("spec") or {}, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster",
                 ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")  # fmt: skip
    if spec.get("ports"):
        spec["ports"] = [_with(port, protocol="TCP", targetPort=port.get("port")) for port in spec["ports"]]
    return {**obj, "spec": spec}


def _namespace(obj: Obj) -> Obj:
    meta = obj["metadata"]
    labels = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta.get("name", "")}
    return {**obj, "metadata": {**meta, "labels": labels}, "spec": _with(obj.get("spec") or {}, finalizers=["kubernetes"]),
            "status": _with(obj.get("status") or {}, phase="Active")}  # fmt: skip


def _event(obj: Obj) -> Obj:
    """Fields that are always there, null or empty, as in the answers of the real server."""
    empty: Obj = {"source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": None, "reportingComponent": "", "reportingInstance": ""}
    return {**empty, **obj}


def _external_secret(obj: Obj) -> Obj:
    """The defaults of the operator's CRD."""
    spec = _with(obj.get("spec") or {}, refreshInterval="1h")
    remote = {"conversionStrategy": "Default", "decodingStrategy": "None", "metadataPolicy": "None"}
    spec["target"] = _with(spec.get("target") or {}, creationPolicy="Owner", deletionPolicy="Retain")
    if spec.get("data"):
        spec["data"] = [{**item, "remoteRef": _with(item.get("remoteRef") or {}, **remote)} for item in spec["data"]]
    if spec.get("dataFrom"):
        spec["dataFrom"] = [{**item, "extract": _with(item["extract"], **remote)} if item.get("extract") else item for item in spec["dataFrom"]]
    if isinstance(spec.get("secretStoreRef"), dict):
        spec["secretStoreRef"] = _with(spec["secretStoreRef"], kind="SecretStore")
    return {**obj, "spec": spec}


_KINDS = {
    "Event": _event,
    "Pod": _pod, "Deployment": _deployment, "ReplicaSet": lambda o: _templated(o, replicas=1), "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set, "Job": _job, "CronJob": _cron_job, "HorizontalPodAutoscaler": _autoscaler,
    "NetworkPolicy": _network_policy, "Secret": _secret, "Service": _service, "ExternalSecret": _external_secret, "Namespace": _namespace,
}  # fmt: skip
