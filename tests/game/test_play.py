"""A game from outside: what was done to the world decides, not who did it or what it says."""

from __future__ import annotations

import json

import pytest

from irkit.app import gameday
from irkit.cli import games
from irkit.game import loader
from irkit.game.card import Scorecard
from irkit.game.course import Moment

FIRST = loader.find("first-contact")


def play(*commands: str, seed: int = 0) -> tuple[Scorecard, list[Moment]]:
    moments: list[Moment] = []
    return games.played(FIRST, seed, "test", commands, moments.append), moments


def missed(card: Scorecard) -> set[str]:
    return {finding.what.partition(":")[0] for finding in card.findings}


def test_irkit_masters_it():
    card, moments = play(*gameday.best(FIRST))
    assert (card.score, card.findings, card.lost) == (100, [], [])
    assert all(t is not None and t >= gameday.PACE for t in card.times.values())
    assert next(m for m in moments if m.kind == "alert").at == 0


def test_who_does_nothing_gets_nothing():
    card, _ = play()
    assert card.score == 0
    assert set(card.times.values()) == {None}
    assert any(leak["what"] == "198.51.100.23:443" and float(leak["to"]) > 1700 for leak in card.leaks)


def test_scaling_down_first_ends_the_evidence():
    card, _ = play(*gameday.NAIVE)
    assert card.score < 50
    assert {"kept-alive", "evidence", "app-keys", "database-login", "token"} <= missed(card)
    assert len(card.lost) == 3


def test_a_label_and_a_deny_all_alone_leave_open_what_other_policies_allow():
    card, _ = play(*gameday.NAIVE[:2])
    found = next(f for f in card.findings if f.what.startswith("cut-off"))
    assert "backend-network-policy" in found.what
    assert found.better.startswith("irkit contain backend-")


def test_labels_that_only_pretend_count_for_nothing():
    """An incident's label, without its policy: the words of irkit, and none of its acts."""
    card, _ = play("kubectl label pod ${suspect} -n ${namespace} quarantine=true irkit.dev/incident=abc123",
                   "kubectl annotate pod ${suspect} -n ${namespace} irkit.dev/contained=true")  # fmt: skip
    assert card.score == 0


def test_reading_the_last_lines_of_a_log_is_no_evidence():
    card, moments = play(
        "kubectl logs ${suspect} -n ${namespace}", "kubectl get events -n ${namespace}", "kubectl delete pod ${suspect} -n ${namespace}"
    )
    assert "evidence" in missed(card)  # the log before its restart was not read, and its siblings' were not
    assert any(m.kind == "ended" and "nobody had read" in m.text for m in moments)


def test_who_hits_others_pays_for_it():
    alone, _ = play("kubectl delete pod/postgres-0 -n todo-app")
    assert "nobody-else" not in missed(alone)  # a rotation may restart it
    card, _ = play(*gameday.best(FIRST), "kubectl delete namespace todo-app")
    assert card.score < 60


@pytest.mark.parametrize("player", ["irkit", "nobody"])
def test_the_same_game_is_the_same_card(player: str):
    commands = gameday.best(FIRST) if player == "irkit" else ()
    first, second = play(*commands)[0], play(*commands)[0]
    assert (first.score, first.findings, first.lost) == (second.score, second.findings, second.lost)


def test_check_says_that_it_can_be_mastered_and_tells_good_from_bad():
    found = gameday.check(FIRST, lambda player, commands: games.played(FIRST, 0, player, commands))
    assert (found.solvable, found.discriminating) == (True, True)
    assert json.loads(json.dumps(found.best))["score"] == 100
