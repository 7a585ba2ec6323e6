"""Features, who has them, how much of them, what their use earns and costs, and what every site of the edge is told."""

from .edge_record import EdgeRecordKind, EdgeRecordRow, PublisherState
from .entitlement import Entitlement
from .feature import Feature
from .grant import Grant
from .lease import Lease, QuotaPool, Settlement
from .margin import CostRate, ImportedCost, MarginEvent, MarginPolicy, MarginState
from .policy import EdgePolicy
from .standing import Holding, Standing

__all__ = [
    "CostRate",
    "EdgePolicy",
    "EdgeRecordKind",
    "EdgeRecordRow",
    "Entitlement",
    "Feature",
    "Grant",
    "Holding",
    "ImportedCost",
    "Lease",
    "MarginEvent",
    "MarginPolicy",
    "MarginState",
    "PublisherState",
    "QuotaPool",
    "Settlement",
    "Standing",
]
