"""End states and acts against a real world: each is seen to hold, and seen not to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

from irkit.cli import games
from irkit.game import loader
from irkit.game.acts import ACTS
from irkit.game.acts.connect import Connect
from irkit.game.acts.crash import Crash
from irkit.game.acts.evict import Evict
from irkit.game.acts.expire import Expire
from irkit.game.acts.tamper import Tamper
from irkit.game.acts.use_token import UseToken
from irkit.game.course import Course
from irkit.game.goals import GOALS
from irkit.game.goals.absent import Absent
from irkit.game.goals.accepted import Accepted
from irkit.game.goals.cordoned import Cordoned
from irkit.game.goals.dead import Dead
from irkit.game.goals.field import Field
from irkit.game.goals.inert import Inert
from irkit.game.goals.isolated import Isolated
from irkit.game.goals.issued import Issued
from irkit.game.goals.policies import Policies
from irkit.game.goals.restarted import Restarted
from irkit.game.goals.serving import Serving
from irkit.game.goals.steady import Steady
from irkit.game.goals.untouched import Untouched
from irkit.game.view import View
from irkit.game.world import prepare
from irkit.model.kube import DEPLOYMENTS, PODS, SECRETS, ObjectRef
from irkit.stage import Turns

EMPTY = loader.loads(b"""\
apiVersion: irkit.dev/v1
kind: Scenario
metadata: {name: empty, title: Empty, difficulty: 1, playbooks: [isolate-only]}
alert: Look
lasts: 60m
goals: [{id: a, state: isolated, points: 1, why: W.}]
""", "empty.yaml")  # fmt: skip


@dataclasses.dataclass
class Game:
    """A world without an attack, in which a player types kubectl."""

    view: View
    turns: Turns
    type: Any

    def holds(self, goal: Any) -> bool:
        with self.turns.take():
            pass
        return bool(goal.look(self.view).holds)

    def why(self, goal: Any) -> str:
        return str(goal.look(self.view).why)

    def do(self, act: Any) -> str:
        with self.turns.take():
            return str(act.do(self.view))


@pytest.fixture
def game() -> Iterator[Game]:
    with games.staged(EMPTY, 0) as (stage, turns), games.hand() as do:
        prepare(EMPTY, stage, turns, 0)
        course = Course(EMPTY, stage, turns)
        course.begin()
        yield Game(course.view, turns, do)


def test_each_kind_has_its_own_word_and_says_what_it_is():
    for kinds in (ACTS, GOALS):
        assert len({kind.kind for kind in kinds}) == len(kinds)
        assert [kind.__name__ for kind in kinds] == sorted(kind.__name__ for kind in kinds)
        assert all((kind.__doc__ or "").strip() for kind in kinds)


def test_an_outage_is_counted_from_the_last_ready_endpoint_to_the_next(game: Game):
    none, some = Serving("todo-app/backend"), Serving("todo-app/backend", at_most=61)
    assert game.holds(none)
    game.type("kubectl scale deployment/backend -n todo-app --replicas=0")
    game.turns.wait(30)
    assert not game.holds(none)
    assert game.holds(some)
    game.turns.wait(30)
    game.type("kubectl scale deployment/backend -n todo-app --replicas=3")
    game.turns.wait(600)
    assert game.holds(some)
    assert "for 60 s" in game.why(none)
    assert not game.holds(Serving("todo-app/nobody"))


def test_a_node_is_cordoned(game: Game):
    assert not game.holds(Cordoned())
    game.type(f"kubectl cordon {game.view.cast.node}")
    assert game.holds(Cordoned())


def test_pods_that_began_before_the_new_value_do_not_have_it(game: Game):
    goal = Restarted("todo-app/mcp-server", after="todo-app/mcp-secret")
    assert "holds what it held before" in game.why(goal)
    game.turns.wait(5)
    game.type("""kubectl patch secret mcp-secret -n todo-app -p '{"data": {"MCP_TOKEN": "bmV3LW5ldy1uZXc="}}'""")
    assert not game.holds(goal)
    game.turns.wait(5)
    game.type("kubectl rollout restart deployment/mcp-server -n todo-app")
    assert game.holds(goal)
    game.type("kubectl scale deployment/mcp-server -n todo-app --replicas=0")
    assert not game.holds(goal)


def test_what_expires_hits_those_who_still_have_it(game: Game):
    act, goal = Expire("todo-app/mcp-secret", "todo-app/mcp-server"), Steady("todo-app/mcp-server")
    assert game.holds(goal)
    assert "1 pod of todo-app/mcp-server crashed" in game.do(act)
    assert not game.holds(goal)
    game.type("""kubectl patch secret mcp-secret -n todo-app -p '{"data": {"MCP_TOKEN": "bmV3LW5ldy1uZXc="}}'""")
    game.turns.wait(2)
    game.type("kubectl rollout restart deployment/mcp-server -n todo-app")
    assert game.do(act) == ""


def test_a_vendor_s_key_is_the_one_that_was_issued(game: Game):
    goal = Issued("todo-app/mcp-secret/MCP_TOKEN", "new-new-new")
    assert "the stolen key" in game.why(goal)
    game.type("""kubectl patch secret mcp-secret -n todo-app -p '{"data": {"MCP_TOKEN": "bm9pc2U="}}'""")
    assert "never issued" in game.why(goal)
    game.type("""kubectl patch secret mcp-secret -n todo-app -p '{"data": {"MCP_TOKEN": "bmV3LW5ldy1uZXc="}}'""")
    assert game.holds(goal)


def test_a_password_that_the_database_does_not_know_locks_out(game: Game):
    goal = Accepted("app", "todo-app/postgres-secret/APP_PASSWORD")
    assert "the old password" in game.why(goal)
    game.type("""kubectl patch secret postgres-secret -n todo-app -p '{"data": {"APP_PASSWORD": "bm9pc2U="}}'""")
    assert "locked out" in game.why(goal)
    assert not game.holds(Dead(role="app", password="todo-app/postgres-secret/APP_PASSWORD"))


def test_the_policies_of_others_stay_as_they_are(game: Game):
    goal = Policies()
    game.type("kubectl apply -n todo-app -f quarantine.yaml")
    assert game.holds(goal)
    game.type("""kubectl patch networkpolicy backend-network-policy -n todo-app -p '{"spec": {"egress": []}}'""")
    assert "backend-network-policy was changed" in game.why(goal)
    game.type("kubectl delete networkpolicy/backend-network-policy -n todo-app")
    assert "backend-network-policy is gone" in game.why(goal)


def test_a_field_as_text(game: Game):
    goal = Field("Deployment todo-app/backend", ("spec", "replicas"), ("0",))
    assert not game.holds(goal)
    game.type("kubectl scale deployment/backend -n todo-app --replicas=0")
    assert game.holds(goal)
    paused = ("metadata", "annotations", "argocd.argoproj.io/skip-reconcile")
    assert not game.holds(Field("Deployment todo-app/backend", paused, ("true",)))
    assert game.holds(Field("Deployment todo-app/backend", paused, ("false",), unset=True))
    for missing in ("Deployment todo-app/none", "Nonsense todo-app/backend", "", "Deployment"):
        assert not game.holds(Field(missing, ("spec",)))


def test_what_is_left_behind_and_the_kept_suspect_is_not(game: Game):
    labels = {"app": "frontend"}
    assert not game.holds(Absent(of="Pod", namespace="todo-app", labels=labels))
    game.type("kubectl scale deployment/frontend -n todo-app --replicas=0")
    assert game.holds(Absent(of="Pod", namespace="todo-app", labels=labels))
    assert game.holds(Absent(of="Pod", name=game.view.cast.suspect.name))
    assert not game.holds(Absent(of="Secret", name="mcp-secret"))


def test_a_workload_of_the_attacker_s_must_have_come_to_be_inert(game: Game):
    goal = Inert("Deployment todo-app/evil")
    assert "not tried it yet" in game.why(goal)
    template = {"metadata": {"labels": {"app": "evil"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "evil", "namespace": "todo-app"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "evil"}}, "template": template}}  # fmt: skip
    with game.turns.take():
        game.view.stage.put(body)
    assert not game.holds(goal)
    game.type("kubectl scale deployment/evil -n todo-app --replicas=0")
    assert game.holds(goal)


def test_all_pods_of_a_node(game: Game):
    assert "left open of Pod" in game.why(Isolated(pods="node"))
    for pod in game.view.cast.pods("node"):
        if pod.namespace == "todo-app":
            game.type(f"kubectl delete pod/{pod.name} -n todo-app")
    assert game.holds(Isolated(pods="node"))  # what is left is of DaemonSets, or kube-system's


def test_who_only_looks_touches_nothing(game: Game):
    game.type("kubectl get pods -n todo-app")
    game.type("kubectl logs postgres-0 -n todo-app")
    assert game.holds(Untouched(("todo-app",)))
    game.type("kubectl label pod postgres-0 -n todo-app a=b")
    assert not game.holds(Untouched(("todo-app",)))
    assert game.holds(Untouched(("kube-system",)))


def test_labels_come_back_only_as_long_as_the_token_is_good(game: Game):
    """The account may not patch pods at first; then it may; then its token is dead."""
    suspect, account = game.view.cast.suspect, "todo-app/backend-sa"
    game.view.tokens[account] = game.view.stage.steal("todo-app", "backend-sa")
    act = Tamper({"x": "y"}, without=("app",), account=account)
    assert game.do(act).endswith(": 403")
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "all", "namespace": "todo-app"},
               "subjects": [{"kind": "ServiceAccount", "name": "backend-sa", "namespace": "todo-app"}], "roleRef": group}  # fmt: skip
    with game.turns.take():
        game.view.stage.put(binding)
    assert game.do(act).endswith(": 200")
    labels = (game.view.stage.find(suspect) or {})["metadata"]["labels"]
    assert labels["x"] == "y"
    assert "app" not in labels
    game.type("kubectl delete serviceaccount/backend-sa -n todo-app")
    assert game.do(Tamper({"x": "z"}, account=account)).endswith(": 401")
    assert [attempt.through for attempt in game.view.attempts] == [False, True, False]
    assert game.do(Tamper({"x": "z"})) == ""  # by somebody who needs no token
    assert (game.view.stage.find(suspect) or {})["metadata"]["labels"]["x"] == "z"


def test_a_stolen_token_makes_what_it_may(game: Game):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "miner", "namespace": "todo-app"},
           "spec": {"containers": [{"name": "a", "image": "a"}]}}  # fmt: skip
    act = UseToken("todo-app/backend-sa", "/api/v1/namespaces/todo-app/pods", "POST", pod)
    assert game.do(act).endswith(": 401")  # nothing was stolen
    game.view.tokens["todo-app/backend-sa"] = game.view.stage.steal("todo-app", "backend-sa")
    assert game.do(act).endswith(": 403")
    assert game.view.stage.find(ObjectRef(resource=PODS, name="miner", namespace="todo-app")) is None
    read = UseToken("todo-app/backend-sa", "/api/v1/namespaces/todo-app/secrets/backend-secret")
    assert game.do(read).endswith(": 200")


def test_an_eviction_asks_nobody_but_the_pod_itself(game: Game):
    suspect = game.view.cast.suspect
    game.type(f"kubectl annotate pod {suspect.name} -n todo-app cluster-autoscaler.kubernetes.io/safe-to-evict=false")
    assert game.do(Evict()) == ""
    game.type(f"kubectl annotate pod {suspect.name} -n todo-app cluster-autoscaler.kubernetes.io/safe-to-evict-")
    assert "was evicted" in game.do(Evict())
    assert game.view.stage.find(suspect) is None
    assert game.do(Evict()) == ""
    assert game.do(Crash()) == ""
    assert game.do(Connect(to="198.51.100.1")) == ""
    assert game.view.attempts[-1].why == "the pod is gone"


def test_what_is_looked_at_may_be_gone(game: Game):
    """A player may delete whatever there is: every end state still has an answer."""
    made: dict[type[Any], Any] = {
        Field: Field("Deployment todo-app/backend", ("spec", "replicas")), Inert: Inert("Deployment todo-app/backend"),
    }  # fmt: skip
    values = {"secret": "todo-app/mcp-secret", "app": "todo-app/backend", "after": "todo-app/mcp-secret", "service": "todo-app/backend", "of": "Pod",
              "key": "todo-app/mcp-secret/MCP_TOKEN", "value": "v", "role": "app", "password": "todo-app/mcp-secret/MCP_TOKEN",
              "namespaces": ("todo-app",)}  # fmt: skip
    goals = [made.get(kind) or kind(**{f.name: values[f.name] for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING
             and f.default_factory is dataclasses.MISSING}) for kind in GOALS]  # fmt: skip
    game.type("kubectl delete namespace todo-app")
    game.turns.wait(60)
    assert game.view.stage.find(ObjectRef(resource=DEPLOYMENTS, name="backend", namespace="todo-app")) is None
    assert game.view.stage.find(ObjectRef(resource=SECRETS, name="mcp-secret", namespace="todo-app")) is None
    for goal in goals:
        assert game.why(goal).isprintable()


NONSENSE = ("", "/", "x", "a/b/c/d", "../..", "todo-app/", "/backend", "Deployment", "-n", "\x1b[31m", "*" * 300, "\N{SNOWMAN}/", "${suspect}")


def _filled(kind: type[Any], word: str) -> Any:
    """The kind with ``word`` for whatever text it takes."""
    hints = get_type_hints(kind)
    made: dict[Any, Any] = {str: word, tuple[str, ...]: (word,), dict[str, str]: {word: word}}
    return kind(**{f.name: made[hints[f.name]] for f in dataclasses.fields(kind) if hints[f.name] in made},
                **{f.name: {"apiVersion": word, "kind": word, "metadata": {"name": word}} for f in dataclasses.fields(kind) if f.name == "object"
                   and hints[f.name] is not str})  # fmt: skip


@pytest.mark.parametrize("word", NONSENSE, ids=ascii)
def test_nonsense_has_an_answer(game: Game, word: str):
    """A scenario comes from strangers: whatever an act or an end state is told, it says something that can be shown."""
    game.view.tokens[word] = game.view.stage.steal("todo-app", "backend-sa")
    for kind in (*ACTS, *GOALS):
        said = game.do(_filled(kind, word)) if kind in ACTS else game.why(_filled(kind, word))
        assert said.isprintable(), kind.kind
