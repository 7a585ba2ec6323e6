"""Features, who has them, how much of them, and what every site of the edge is told."""

from .entitlement import Entitlement
from .feature import Feature
from .grant import Grant
from .policy import EdgePolicy
from .standing import Holding, Standing

__all__ = ["EdgePolicy", "Entitlement", "Feature", "Grant", "Holding", "Standing"]
