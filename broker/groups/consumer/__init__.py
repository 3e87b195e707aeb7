"""Groups of the consumer protocol (KIP-848): the broker decides who reads what."""
