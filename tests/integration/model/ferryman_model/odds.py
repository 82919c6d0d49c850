"""Odds: which rule comes next.

By itself hypothesis leaves out a random part of the rules in every run. Here a task's way is a chain of many steps, so
that most runs would show nothing but people who cancel; and workers should act more often than policies change.
"""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import Rule, RuleStrategy

#: All others have 2.
ODDS: Final = {
    "work": 16,
    "work_undisturbed": 6,
    "deliver": 4,
    "deliver_a_copy": 3,
    "send_a_wrong_exit": 3,
    "look_until_a_verdict": 3,
    "lose_a_worker": 3,
    **dict.fromkeys(("beat", "change_policy", "fetch_ahead", "recover_handed"), 1),
}


class Odds(RuleStrategy):
    """Stands in for hypothesis' own choice. Only rules whose precondition holds are drawn from."""

    def do_draw(self, data: Any) -> tuple[Rule, dict[Any, Any]]:
        possible = [rule for rule in self.rules if self.is_valid(rule)]
        weighted = [rule for rule in possible for _ in range(ODDS.get(rule.function.__name__, 2))]
        rule: Rule = data.draw(st.sampled_from(weighted))
        return rule, {name: data.draw(strategy) for name, strategy in rule.arguments_strategies.items()}
