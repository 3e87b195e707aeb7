"""The network: listeners, connections, and what is known of a client."""
