"""Transactions: who may write under which transactional id, and how each transaction ends (KIP-98, KIP-890)."""

from .coordinator import Markers, Producer, TransactionCoordinator, TransactionCoordinatorConfig
from .state import NO_PRODUCER_ID, TransactionState

__all__ = [
    "NO_PRODUCER_ID",
    "Markers",
    "Producer",
    "TransactionCoordinator",
    "TransactionCoordinatorConfig",
    "TransactionState",
]
