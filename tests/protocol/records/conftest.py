import warnings

with warnings.catch_warnings():
    # kafka-python reads its schemas with a deprecated function while it is imported; later imports find it done.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka.codec
    import kafka.record.default_records  # noqa: F401
