"""The log and the catalog: everything that lasts. Knows record batches, never requests."""
