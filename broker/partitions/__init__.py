"""Topics and partitions: what this broker leads."""
