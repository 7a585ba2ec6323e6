"""Leases as a model: several sites, lost and late messages, memories that go; never more admitted than there is."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from entitlements.decision import Ask, Held, Known, Reason, Site, decide, released, settled, told
from entitlements.leases import Totals, give_back_size, grant_size, unallocated
from entitlements.records import CustomerRecord, FeatureRecord, LeaseRecord

QUOTA = 12
END = 10**12


@pytest.mark.parametrize(
    ("free", "first", "size"), [(1_000, True, 50), (950, False, 237), (3, False, 1), (0, True, 0)]
)
def test_how_much_a_site_is_given(free, first, size):
    assert grant_size(free, is_first=first) == size


def test_what_is_given_back_and_what_is_left():
    assert [give_back_size(free) for free in (0, 1, 2, 5, -3)] == [0, 1, 1, 3, 0]
    assert unallocated(1_000, 550, [Totals(100, 0, 20), Totals(50)]) == 320


@dataclass
class Lease:
    number: int
    edge: int
    epoch: int
    totals: Totals = field(default_factory=Totals)


class Centre:
    """The store's side, as services/leases.py has it."""

    def __init__(self) -> None:
        self.quota = QUOTA
        self.billed = 0
        self.leases: list[Lease] = []
        self.settlements: set[str] = set()

    def renew(self, edge: int, epoch: int, have: int, returned: int) -> LeaseRecord:
        lease = self.of(edge, epoch)
        totals = lease.totals
        totals = replace(totals, returned=max(totals.returned, min(returned, totals.granted)))
        lease.totals = totals
        if have >= totals.granted:
            free = unallocated(self.quota, self.billed, [one.totals for one in self.leases])
            more = grant_size(free, is_first=totals.granted == 0)
            lease.totals = replace(totals, granted=totals.granted + more)
        return self.record(lease)

    def of(self, edge: int, epoch: int) -> Lease:
        found = next((one for one in self.leases if (one.edge, one.epoch) == (edge, epoch)), None)
        if found is None:
            found = Lease(len(self.leases) + 1, edge, epoch)
            self.leases.append(found)
        return found

    def record(self, lease: Lease) -> LeaseRecord:
        return LeaseRecord(
            lease=lease.number,
            edge=str(lease.edge),
            epoch=str(lease.epoch),
            granted=lease.totals.granted,
            settled=lease.totals.settled,
        )

    def event(self, reservation: str | None, units: int) -> None:
        """The writer: usage, and the reservation's units from its lease, at once."""
        self.billed += units
        if reservation is not None and reservation not in self.settlements:
            self.settlements.add(reservation)
            number, reserved, _ = reservation.split(".")
            lease = self.leases[int(number) - 1]
            lease.totals = replace(lease.totals, settled=lease.totals.settled + int(reserved))


class GrantsLostLeasesAgain(Centre):
    """The mistake: what a site had whose memory is gone is handed out again."""

    def of(self, edge: int, epoch: int) -> Lease:
        self.leases = [
            one if one.edge != edge or one.epoch == epoch else replace_outstanding(one) for one in self.leases
        ]
        return super().of(edge, epoch)


def replace_outstanding(lease: Lease) -> Lease:
    return Lease(lease.number, lease.edge, lease.epoch, replace(lease.totals, returned=lease.totals.granted))


class IgnoresEpochs(Centre):
    """The mistake: a site that lost its memory goes on with the lease that it had, as if it had taken nothing."""

    def of(self, edge: int, epoch: int) -> Lease:
        return super().of(edge, 0)


class CountsReturnsTwice(Centre):
    """The mistake: what is given back is an amount and no total, and comes twice."""

    def renew(self, edge: int, epoch: int, have: int, returned: int) -> LeaseRecord:
        lease = self.of(edge, epoch)
        lease.totals = replace(lease.totals, returned=lease.totals.returned + returned)
        return super().renew(edge, epoch, have, lease.totals.returned)


class Edge:
    """A site's side: its counters, by the decision itself."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.epoch = 0
        self.held = Held()

    def reserve(self, units: int, nonce: str, now_ms: int, billed: int):
        decision, known = decide(self._known(billed), Ask(units, now_ms, True, 1_000, nonce), Site())
        self.held = known.held
        return decision

    def _known(self, billed: int) -> Known:
        record: dict[str, Any] = {"tenant": "t", "customer": "c", "version": 1, "as_of_ms": 0}
        feature = FeatureRecord(
            **record,
            feature="f",
            kind="metered",
            limit=10**9,
            used=billed,
            window_start_ms=0,
            window_end_ms=END,
        )
        return Known(CustomerRecord(**record), feature, self.held)

    def hear(self, lease: LeaseRecord) -> None:
        if int(lease.epoch) in (self.epoch, 0) and int(lease.edge) == self.number:
            self.held = told(self.held, lease, 0)

    def give_back(self) -> None:
        self.held = replace(self.held, returned=self.held.returned + give_back_size(self.held.free))


@dataclass
class Call:
    """A call that was let through. is_over: its reservation has expired."""

    site: Edge
    epoch: int
    id: str
    units: int
    expires_ms: int
    is_over: bool = False


class Sites(RuleBasedStateMachine):
    """Three sites and a centre; every message may be lost, repeated or late."""

    Centre: type[Centre] = Centre

    def __init__(self) -> None:
        super().__init__()
        self.centre = self.Centre()
        self.edges = [Edge(number) for number in range(3)]
        self.now_ms = 0
        self.count = 0
        self.late: list[LeaseRecord] = []
        # Reservations admitted and not given back: they are used, or may be.
        self.open: list[Call] = []
        self.admitted = 0
        self.quota_most = QUOTA

    edges_ = st.integers(0, 2)

    @rule(edge=edges_, is_lost=st.booleans(), is_asked_lost=st.booleans())
    def renew(self, edge: int, is_lost: bool, is_asked_lost: bool) -> None:
        site = self.edges[edge]
        if is_asked_lost:
            return
        answer = self.centre.renew(site.number, site.epoch, site.held.granted, site.held.returned)
        answer = LeaseRecord(
            **{**{name: getattr(answer, name) for name in answer.__struct_fields__}, "epoch": str(site.epoch)}
        )
        self.late.append(copy.copy(answer))
        if not is_lost:
            site.hear(answer)

    @rule(which=st.integers(0, 50))
    def a_late_word_comes(self, which: int) -> None:
        if self.late:
            record = self.late[which % len(self.late)]
            site = self.edges[int(record.edge)]
            if int(record.epoch) == site.epoch:
                site.hear(record)

    @rule(edge=edges_, units=st.integers(1, 6))
    def reserve(self, edge: int, units: int) -> None:
        site = self.edges[edge]
        self.count += 1
        decision = site.reserve(units, f"n{self.count}", self.now_ms, self.centre.billed)
        if decision.is_allowed:
            assert decision.reservation is not None
            self.open.append(Call(site, site.epoch, decision.reservation.id, units, self.now_ms + 1_000))
            self.admitted += units
        else:
            assert decision.reason is Reason.QUOTA_EXCEEDED

    @rule(edge=edges_)
    def a_site_is_busy(self, edge: int) -> None:
        """It takes all that it can get."""
        for _ in range(2 * QUOTA):
            before = self.admitted
            self.reserve(edge, 1)
            if self.admitted == before:
                self.renew(edge, False, False)

    @rule(which=st.integers(0, 50), is_used=st.booleans(), is_repeated=st.booleans())
    def a_call_ends(self, which: int, is_used: bool, is_repeated: bool) -> None:
        if not self.open:
            return
        call = self.open.pop(which % len(self.open))
        site = call.site
        was_open = False
        if call.epoch == site.epoch:
            was_open, site.held = (settled if is_used else released)(site.held, call.id, self.now_ms)
            assert was_open == (not call.is_over)
        if not is_used:
            self.admitted -= 0 if call.is_over else call.units
            return
        self.centre.event(call.id if was_open else None, call.units)
        if call.is_over:
            # Its reservation had been given back: usage that nobody has reserved is a fact beside the quota.
            self._beside_the_quota(call.units)
        if is_repeated and was_open:
            # Another event under another key names the same reservation.
            self.centre.event(call.id, call.units)
            self._beside_the_quota(call.units)

    def _beside_the_quota(self, units: int) -> None:
        self.admitted += units
        self.quota_most += units

    @rule(edge=edges_)
    def a_site_hears_what_is_settled(self, edge: int) -> None:
        site = self.edges[edge]
        for lease in self.centre.leases:
            if lease.edge == edge and lease.epoch == site.epoch:
                site.hear(self.centre.record(lease))

    @rule(edge=edges_)
    def a_site_gives_back(self, edge: int) -> None:
        self.edges[edge].give_back()

    @rule(edge=edges_)
    def a_memory_is_lost(self, edge: int) -> None:
        site = self.edges[edge]
        # Calls that it let through go on.
        site.epoch += 1
        site.held = Held()

    @rule(milliseconds=st.sampled_from([1, 500, 1_000, 5_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        for call in self.open:
            if not call.is_over and call.expires_ms <= self.now_ms:
                call.is_over = True
                self.admitted -= call.units

    @rule(more=st.integers(1, 10))
    def the_quota_is_raised(self, more: int) -> None:
        self.centre.quota += more
        self.quota_most += more

    @invariant()
    def never_more_than_there_is(self) -> None:
        assert self.admitted <= self.quota_most, (self.admitted, self.quota_most)

    @invariant()
    def the_numbers_add_up(self) -> None:
        totals = [lease.totals for lease in self.centre.leases]
        free = unallocated(self.centre.quota, self.centre.billed, totals)
        assert self.centre.billed + sum(one.outstanding for one in totals) + free == self.centre.quota


STEPS = settings(
    max_examples=120,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@pytest.mark.slow
def test_sites_never_admit_more_than_there_is():
    run_state_machine_as_test(Sites, settings=STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [GrantsLostLeasesAgain, IgnoresEpochs, CountsReturnsTwice])
def test_known_mistakes_are_caught(mistake):
    wrong = type(f"Sites{mistake.__name__}", (Sites,), {"Centre": mistake})
    with pytest.raises(AssertionError):
        run_state_machine_as_test(wrong, settings=settings(STEPS, max_examples=400, print_blob=False))
