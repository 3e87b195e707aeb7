"""``__consumer_offsets``: the copy of all groups and committed offsets, for programs that read that topic.

The catalog is the truth. No part of the broker reads the copy but to compare it with the catalog.
"""

from .copy import OffsetsTopic

__all__ = ["OffsetsTopic"]
