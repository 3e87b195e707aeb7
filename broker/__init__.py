"""The broker process: it owns all state and answers requests."""
