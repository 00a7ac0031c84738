"""Values from an issuer: the human's answer is checked, a pull secret is edited, nothing of either is ever told."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from irkit.errors import UsageError
from irkit.model.outcome import Done, Skipped
from tests.engine.harness import Script
from tests.rotators.world import World


class Answers(Script):
    """Answers one after another."""

    def __init__(self, *given: str | None) -> None:
        super().__init__()
        self.given, self.prompts = list(given), list[str]()

    def secret(self, name: str, prompt: str) -> str | None:
        self.prompts.append(prompt)
        return self.given.pop(0)


def docker(**registries: tuple[str, str]) -> str:
    def login(user: str, password: str) -> dict[str, str]:
        return {"username": user, "password": password, "email": "e", "auth": base64.b64encode(f"{user}:{password}".encode()).decode()}

    return json.dumps({"auths": {r.replace("_", "."): login(*pair) for r, pair in registries.items()}, "credHelpers": {"x": "y"}})


def pull_secret(world: World, document: str) -> Any:
    world.secret("pull", "issuer-made", {".dockerconfigjson": document}, type="kubernetes.io/dockerconfigjson")
    return world.credential("pull")


def test_empty_and_old_answers_are_asked_again(rehearsal: World) -> None:
    rehearsal.secret("app", "issuer-made", {"KEY": "old-key\n"})
    rehearsal.approver = answers = Answers("", "old-key", "new-key\r\n")
    assert isinstance(rehearsal.renew(rehearsal.credential("app")), Done)
    assert rehearsal.values("app") == {"KEY": "new-key\n"}
    assert [p.partition(" (")[2] for p in answers.prompts] == ["", "it must not be empty)", "that is the old value)"]


@pytest.mark.parametrize(("given", "expected"), [(["", " ", "old-key"], UsageError), ([None], Skipped)])
def test_no_new_value_leaves_the_old_one(rehearsal: World, given: Sequence[str | None], expected: type) -> None:
    rehearsal.secret("app", "issuer-made", {"KEY": "old-key"})
    rehearsal.approver = Answers(*given)
    credential = rehearsal.credential("app")
    before = rehearsal.begin(credential)
    if expected is Skipped:
        assert isinstance(rehearsal.renew(credential, before), Skipped)
    else:
        with pytest.raises(UsageError, match="nothing was written"):
            rehearsal.renew(credential, before)
    assert rehearsal.values("app") == {"KEY": "old-key"}


def test_each_registry_of_a_pull_secret_gets_its_password(rehearsal: World) -> None:
    credential = pull_secret(rehearsal, docker(ghcr_io=("bot", "old-1"), quay_io=("ro:bot", "old-2")))
    rehearsal.approver = Answers("new-1", "new-2")
    _, renewed, retired = rehearsal.rotate(credential)
    assert isinstance(renewed, Done)
    made = rehearsal.values("pull")[".dockerconfigjson"]
    assert json.loads(made) == json.loads(docker(ghcr_io=("bot", "new-1"), quay_io=("ro:bot", "new-2")))
    assert isinstance(retired, Done)
    assert retired.data["oldValue"] == "untested"


def test_a_whole_document_may_be_given(rehearsal: World) -> None:
    new = docker(other_io=("me", "new"))
    rehearsal.approver = Answers(new)
    rehearsal.renew(pull_secret(rehearsal, docker(ghcr_io=("bot", "old"))))
    assert rehearsal.values("pull") == {".dockerconfigjson": new}


@pytest.mark.parametrize("document", ['{"auths": {}}', '{"auths": []}', '{"credHelpers": {}}'])
def test_a_pull_secret_without_registries(rehearsal: World, document: str) -> None:
    with pytest.raises(UsageError, match="names no registry"):
        rehearsal.renew(pull_secret(rehearsal, document))


def test_a_login_that_is_only_base64(rehearsal: World) -> None:
    auth = base64.b64encode(b"bot:old").decode()
    rehearsal.approver = answers = Answers("old", "new")
    rehearsal.renew(pull_secret(rehearsal, json.dumps({"auths": {"ghcr.io": {"auth": auth, "identitytoken": "stolen"}}})))
    assert json.loads(rehearsal.values("pull")[".dockerconfigjson"])["auths"]["ghcr.io"] == {
        "auth": base64.b64encode(b"bot:new").decode(), "username": "bot", "password": "new"}  # fmt: skip
    assert "that is the old value" in answers.prompts[1]


def test_who_takes_longer_at_the_prompt_than_the_step_has_gets_the_value_synced_all_the_same(rehearsal: World) -> None:
    """A new key is issued at the vendor's console first: that takes a person as long as it takes."""

    class Slow(Answers):
        def secret(self, name: str, prompt: str) -> str | None:
            rehearsal.ports.clock.sleep(0.3)
            return super().secret(name, prompt)

    rehearsal.put(KEY="old-key")
    rehearsal.external("app", "issuer-made", {"SECRET": "KEY"})
    rehearsal.approver = Slow("new-key")
    credential = rehearsal.credential("app")
    assert isinstance(rehearsal.renew(credential, rehearsal.begin(credential), seconds=0.2), Done)
    assert rehearsal.values("app") == {"SECRET": "new-key"}
