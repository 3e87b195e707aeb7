"""The messages, one module per family of APIs; each is declared once for all its versions."""
