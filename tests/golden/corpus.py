"""The golden corpus: inputs as they were sealed, and the results that they had then, one file for each.

    python -m tests.golden.corpus      seals what has no file yet under the present rule version

A file is two lines: the sealed input, and the result's canonical JSON; so a result that has moved can be read beside the
old one. A file is never written again: what it holds stands for invoices that customers have.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from billing.pipeline import run
from billing.pipeline.state import RULE_VERSION, BillingState, ClosedPeriod, MeterUsage, UsageCorrection
from billing.proof import result, seal
from sandbox.loading import state_of
from sandbox.scenario import scenario_of
from tests.billing.pipeline.builders import calls, fee, hour, state, taxed, usage
from tests.billing.pipeline.test_adjustments import APRIL, closed
from tests.billing.pipeline.test_every_stage import FULL

FOLDER = Path(__file__).parent
EXAMPLES = FOLDER.parent / "worked_examples"


def golden_files() -> list[Path]:
    return sorted(FOLDER.glob("v*/*.jsonl"))


def golden(path: Path) -> tuple[bytes, bytes]:
    """A file's sealed input and result."""
    sealed, found = path.read_bytes().splitlines()
    return sealed, found


def states() -> Iterator[tuple[str, BillingState]]:
    """What is sealed: every worked example, and what those cannot say."""
    for path in sorted(EXAMPLES.glob("**/*.toml")):
        yield path.stem, state_of(scenario_of(path.read_text()))
    yield "every_stage", FULL
    yield "closed_periods", CLOSED_PERIODS
    yield "no_usage", state(fee("49.00"), calls(), usage=(MeterUsage(meter="api.call", hours=()),))


# March again with a hundred calls less, and a tax on what is left: 50.00 - 1.00 = 49.00, 19 % of it 9.31.
_MARCH = state(calls(), usage=(usage(hour(1000)),))
_MARCH_NOW = state(calls(), usage=(usage(hour(900)),))
_PERIOD: ClosedPeriod = closed(
    _MARCH, _MARCH_NOW, UsageCorrection(id="c1", text="amended k1", meters=("api.call",))
)
CLOSED_PERIODS = state(
    fee("50.00"), period=APRIL, cycle=APRIL, as_of=APRIL.end, closed=(_PERIOD,), tax_profile=taxed("19")
)


def write_missing() -> list[Path]:
    """Files for what is not sealed yet under the present rule version; returns those written."""
    written = []
    folder = FOLDER / f"v{RULE_VERSION}"
    folder.mkdir(exist_ok=True)
    for name, found in states():
        path = folder / f"{name}.jsonl"
        if not path.exists():
            path.write_bytes(b"\n".join((seal(found), result(run(found)), b"")))
            written.append(path)
    return written


if __name__ == "__main__":
    for path in write_missing():
        print(path.relative_to(FOLDER))
