"""The handlers, one module per API family; ``broker.registry`` finds them."""

# Families that few clients ever use, and the versions that are advertised of them, by key: they are imported with the
# first request for one, so that no start pays for them.
RARE = {
    "acls": {29: (1, 3), 30: (1, 3), 31: (1, 3)},
    "alter_configs": {33: (0, 2), 44: (0, 1), 74: (0, 1)},
    "client_quotas": {48: (0, 1), 49: (0, 1)},
    "cluster": {55: (0, 2), 57: (0, 2), 64: (0, 0), 80: (0, 1), 81: (0, 0)},
    "delegation_tokens": {38: (1, 3), 39: (1, 2), 40: (1, 2), 41: (1, 3)},
    "delete_records": {21: (0, 2)},
    "log_dirs": {34: (1, 2), 35: (1, 5)},
    "offset_delete": {47: (0, 0)},
    "partitions": {37: (0, 3), 43: (0, 2), 45: (0, 1), 46: (0, 0), 75: (0, 0)},
    "sasl": {17: (0, 1), 36: (0, 2)},
    "scram_credentials": {50: (0, 0), 51: (0, 0)},
    "transaction_offsets": {28: (0, 5)},
    "transactions": {24: (0, 5), 25: (0, 4), 26: (0, 5), 27: (1, 2)},
    "transaction_admin": {61: (0, 0), 65: (0, 0), 66: (0, 2)},
}
