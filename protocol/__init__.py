"""Kafka's wire protocol: bytes to messages and back. Imports nothing of ours and does no I/O."""
