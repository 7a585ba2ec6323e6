"""Tax quotes: an outside engine is asked once a question, outside of any transaction, and its answer kept for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from aforo.kernel.canonical import canonical_value, sha256_hex
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.seal import Unsealable, unseal
from metering.signatures import standard_key

from .. import pipeline
from ..models import BillingProfile, TaxQuote
from ..pipeline import state as values
from ..pipeline.tax_quotes import NEEDED, QUESTION
from ..providers.http_tax import HttpTaxEngine
from ..providers.tax import EngineDown, EngineFailed, TaxEngine, quote_of
from ..selectors.profiles import billing_profile_for
from ..selectors.tax import tax_quote_value, tax_quotes_for

T = TypeVar("T")
# Usage that arrives between a question and the next run makes another question of it.
QUESTIONS_MAX = 3


class TaxQuoteNeeded(Problem):
    """A run stopped because the tax engine has not been asked yet. question: what it is to be asked."""

    def __init__(self, engine: str, question: str) -> None:
        super().__init__(
            "state_conflict", f"The tax engine {engine!r} has not answered yet; the invoice waits."
        )
        self.question = question


def run_quoted(tenant: Tenant, state: values.BillingState) -> values.BillingState:
    """Run a state; where an outside engine works out its taxes, with the engine's recorded answer.

    Raises TaxQuoteNeeded where there is none.
    """
    finished = pipeline.run(state)
    question = next((dict(issue.facts)[QUESTION] for issue in finished.issues if issue.code == NEEDED), None)
    if question is None:
        return finished
    profile = state.tax_profile
    row = (
        tax_quotes_for(tenant)
        .filter(engine=profile.engine, question_hash=sha256_hex(question.encode()))
        .first()
    )
    if row is None:
        raise TaxQuoteNeeded(profile.engine, question)
    return pipeline.run(replace(state, tax_profile=replace(profile, quote=tax_quote_value(row))))


def tax_quoted(tenant: Tenant, work: Callable[[], T]) -> T:
    """Do the work; where it stops for want of a quote, ask the engine and do it again.

    Never inside a transaction: an engine may take seconds. Raises what the work raises, and Problem state_conflict where
    the engine does not answer.
    """
    for _ in range(QUESTIONS_MAX):
        try:
            return work()
        except TaxQuoteNeeded as needed:
            tax_quote_ask(tenant=tenant, question=needed.question)
    return work()


def tax_quote_ask(*, tenant: Tenant, question: str) -> TaxQuote:
    """Ask the tenant's engine and keep the answer; of two that ask at once, the first answer stands.

    Raises Problem state_conflict where the engine does not answer, or with something that is no answer.
    """
    profile = billing_profile_for(tenant)
    try:
        quote = quote_of(question, _engine_of(profile).ask(question))
    except EngineFailed as error:
        raise Problem(
            "state_conflict",
            f"The tax engine {error} The invoice waits; draft it again once the engine answers.",
            is_down=isinstance(error, EngineDown),
        ) from None
    row, _ = TaxQuote.objects.get_or_create(
        tenant=tenant,
        engine=profile.tax_engine,
        question_hash=quote.question,
        defaults={
            "question": question,
            "reference": quote.reference,
            "taxes": canonical_value(quote.taxes),
        },
    )
    return row


def _engine_of(profile: BillingProfile) -> TaxEngine:
    if not profile.tax_engine:
        raise EngineFailed("is no longer in the billing profile.")
    if profile.sealed_tax_engine_secret is None:
        return HttpTaxEngine(profile.tax_engine_url)
    try:
        return HttpTaxEngine(
            profile.tax_engine_url, standard_key(unseal(bytes(profile.sealed_tax_engine_secret)))
        )
    except Unsealable as error:
        raise EngineFailed(f"cannot be asked: {error} Enter the engine's secret again.") from None
