"""Worked example: a scenario run through the pipeline and compared with the invoice it expects."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, DecimalException

from billing.pipeline import run
from billing.proof import result_hash

from .comparison import Difference, differences_of, figures_of
from .loading import state_of
from .scenario import InvalidScenario, scenario_of


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkedExample:
    """What came of it. error: the file is no scenario, a sentence; then there are no figures."""

    title: str = ""
    error: str = ""
    figures: dict[str, Decimal] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    result_hash: str = ""

    @property
    def is_pass(self) -> bool:
        return not self.error and not self.differences

    @property
    def verdict(self) -> str:
        return "PASS" if self.is_pass else "FAIL"


def worked_example(text: str) -> WorkedExample:
    """Run a scenario's text; the same text gives the same result hash."""
    try:
        scenario = scenario_of(text)
        state = run(state_of(scenario))
    except InvalidScenario as error:
        return WorkedExample(error=str(error))
    except DecimalException:
        return WorkedExample(error="A number has too many digits, or is none.")
    return WorkedExample(
        title=scenario.title,
        figures=figures_of(state),
        differences=differences_of(scenario.expected, state),
        result_hash=result_hash(state),
    )
