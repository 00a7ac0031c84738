"""`irkit redeploy`: what was stopped comes back with another image, judged before; what does not come up says why and is stopped again."""

from __future__ import annotations

import msgspec
import pytest

from irkit.app import lift as lifting
from irkit.app import rotate as rotations
from irkit.app.going_on import resume
from irkit.app.respond import Request
from irkit.app.verify import verify
from irkit.errors import RefusedError, UnreachableError, UsageError
from irkit.model.changes import Patch
from irkit.model.image import Scan, Signature, Vulnerability, digest_of
from irkit.settings.recovery import RecoverySettings, SignatureSettings
from tests.engine.harness import Witness, bench
from tests.recovery.world import BACKEND, NEW, OLD, Way, backend, contained, image_of, put_back

CRITICAL = Scan("trivy", (Vulnerability("CVE-2026-1", "critical", "openssl", "3.0.14"), Vulnerability("CVE-2026-2", "high", "zlib")))


def test_what_an_incident_stopped_comes_back_with_the_new_image_and_its_replicas(tmp_path):
    way = Way()
    with contained(tmp_path, way) as b:
        result = put_back(b)
        assert (result.exit_code, result.outcome) == (0, "done"), result
        assert result.incident == b.state().incident.id
        assert (image_of(b), backend(b)["spec"]["replicas"]) == (NEW, 3)
        assert way.scanned == [NEW]
        assert len(b.approver.asked) == 1
        assert "0 → 3" in b.approver.asked[0]
        assert {c["check"]: c["holds"] for c in result.checks}.items() >= {"ready": True, "image": True, "old-image": True, "endpoints": True}.items()
        assert result.next == f"irkit verify {result.incident} --watch 24h"
        assert not [i for i, _ in b.state().undone() if isinstance(i.change, Patch) and i.change.ref.kind == "Deployment"]


def test_again_writes_nothing_and_going_on_with_the_containment_does_not_stop_it_again(tmp_path):
    with contained(tmp_path) as b:
        first = put_back(b)
        before = len(b.writes())
        assert put_back(b).exit_code == 0
        assert resume(b.ports, first.incident).exit_code == 0
        assert len(b.writes()) == before
        assert backend(b)["spec"]["replicas"] == 3


def test_without_an_incident_it_opens_one_and_collects_the_pods_that_the_rollout_ends(tmp_path):
    with bench(tmp_path) as b:
        result = put_back(b)
        assert result.exit_code == 0, result
        assert image_of(b) == NEW
        assert result.evidence is not None
        assert result.evidence.bundle


def test_a_tag_is_never_trusted_and_its_digest_is_shown(tmp_path):
    with contained(tmp_path) as b, pytest.raises(UsageError, match=f"now it names sha256:{'b' * 64}") as refused:
        put_back(b, OLD)
    assert refused.value.next == f"irkit redeploy deployment/backend -n todo-app --image registry.example/todo/backend@sha256:{'b' * 64}"


@pytest.mark.parametrize("text", ["no image", "-x", "reg.example/App@sha256:0", "a" * 2000, "x@sha256:" + "a" * 63, "${pod}", "--help", "a b"])
def test_what_is_no_image_is_one_sentence(tmp_path, text):
    with contained(tmp_path) as b, pytest.raises(UsageError):
        put_back(b, text)


def test_the_compromised_image_comes_back_only_by_a_typed_reason(tmp_path):
    with contained(tmp_path) as b:
        digest = digest_of(b.state().incident.target.containers[0].image_id)
        old = f"registry.example/todo/backend@{digest}"
        with pytest.raises(RefusedError, match="it is not put back"):
            put_back(b, old)
        assert image_of(b) == OLD
        assert put_back(b, old, same_image="only the pod was compromised").exit_code in (0, 5)
        assert image_of(b) == old


@pytest.mark.parametrize(("way", "wish", "code", "words"), [
    (Way(CRITICAL), {}, 8, "1 vulnerability of severity critical or worse"),
    (Way(CRITICAL), {"accept": ("CVE-2026-1",)}, 0, ""),
    (Way(Scan("trivy", counts={"high": 3})), {}, 0, ""),
    (Way(None), {}, 3, "was not scanned: no scanner"),
    (Way(fails="trivy was ended by signal 11"), {}, 3, "was not scanned: trivy was ended by signal 11"),
])  # fmt: skip
def test_the_gate(tmp_path, way, wish, code, words):
    with contained(tmp_path, way) as b:
        b.approver.answers = (True, False)  # yes to the plan, no to what is not known
        result = put_back(b, **wish)
        assert result.exit_code == code, result
        assert image_of(b) == (OLD if code else NEW)
        assert words in result.steps[0].why


@pytest.mark.parametrize(("rule", "code"), [("refuse", 8), ("allow", 0)])
def test_the_settings_say_what_is_done_where_nothing_can_scan(tmp_path, rule, code):
    with contained(tmp_path, Way(None), recovery={"unknown": rule}) as b:
        assert put_back(b).exit_code == code


@pytest.mark.parametrize(("signature", "code"), [(Signature("key k"), 0), (Signature("key k", "it has no such signature"), 8)])
def test_a_signature_is_wanted_where_the_settings_name_a_key(tmp_path, signature, code):
    with contained(tmp_path, Way(signature=signature), recovery={"signature": {"key": "k"}}) as b:
        assert put_back(b).exit_code == code


def test_what_never_becomes_ready_says_why_and_is_stopped_again(tmp_path):
    with contained(tmp_path) as b:
        b.box.store.images.remove(NEW)
        result = put_back(b, timeout="2s")
        assert result.exit_code == 5, result
        assert "not ready within 2 s" in result.steps[0].why
        assert "backend: ErrImagePull: " in result.steps[0].why
        assert backend(b)["spec"]["replicas"] == 0
        assert result.next.startswith(f"irkit redeploy {result.incident} --image ANOTHER@sha256:")
        assert "--same-image REASON" in result.next
        again = put_back(b, f"registry.example/todo/backend@sha256:{'c' * 64}", target=str(result.incident), timeout="2s")
        assert again.incident == result.incident


def test_cut_off_between_the_image_and_the_replicas_the_same_command_finishes_it(tmp_path):
    with contained(tmp_path) as b:

        def lost(verb: str, what: object) -> None:
            if image_of(b) == NEW:
                raise UnreachableError("the API server does not answer")

        whole = b.ports
        b.ports = msgspec.structs.replace(whole, cluster=Witness(whole.cluster, lost, lambda *_: None))
        cut = put_back(b)
        assert (cut.exit_code, backend(b)["spec"]["replicas"], image_of(b)) == (7, 0, NEW)
        b.ports = whole
        assert resume(b.ports, cut.incident).exit_code == 0, "the containment still holds, and is not done again"
        assert backend(b)["spec"]["replicas"] == 0
        done = put_back(b, target=str(cut.incident))
        assert (done.exit_code, backend(b)["spec"]["replicas"]) == (0, 3)


def test_a_lift_after_it_leaves_the_workload_alone(tmp_path):
    with contained(tmp_path) as b:
        put_back(b)
        assert lifting.lift(b.ports, None, "delete").exit_code == 0
        assert (backend(b)["spec"]["replicas"], image_of(b)) == (3, NEW)


def test_verify_after_it_judges_what_runs_and_not_that_it_is_stopped(tmp_path):
    with contained(tmp_path) as b:
        identifier = put_back(b).incident
        result = verify(b.ports, identifier, None, "")
        held = {c["check"]: c["holds"] for c in result.checks}
        assert result.exit_code == 0, result.checks
        assert "stopped" not in held
        assert {"isolated", "alive", "untampered", "ready", "image", "old-image", "steady", "endpoints"} <= held.keys()
        container = backend(b)["spec"]["template"]["spec"]["containers"][0]
        b.ports.cluster.patch(BACKEND, {"spec": {"template": {"spec": {"containers": [{**container, "image": OLD}]}}}})
        b.box.settle()
        held = {c["check"]: c["holds"] for c in verify(b.ports, identifier, None, "").checks}
        assert (held["image"], held["old-image"]) == (False, False)


def test_settings_that_go_together():
    with pytest.raises(ValueError, match="identity and issuer"):
        RecoverySettings(signature=SignatureSettings(identity="x"))


def test_after_a_rotation_of_its_own_it_still_goes_on_with_the_incident_that_stopped_it(tmp_path):
    """Contain, rotate, redeploy, each as its own command: the rotation opened the newest incident, and knows nothing of replicas."""
    with contained(tmp_path) as b:
        b.approver.secrets = {"backend-secret/GROQ_API_KEY": "a-new-key-of-the-issuer"}
        request = Request(command="rotate", playbook="rotate", target=b.box.suspect[1], namespace="todo-app")
        rotated = rotations.rotate(b.ports, rotations.Wish(), request)
        result = put_back(b)
        assert result.incident != rotated.incident
        assert (result.exit_code, backend(b)["spec"]["replicas"], image_of(b)) == (0, 3, NEW)
