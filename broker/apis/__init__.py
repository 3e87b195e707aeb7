"""The handlers, one module per family of APIs, named as the messages they answer."""
