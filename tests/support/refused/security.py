"""Calls about ACLs, users and quotas that are refused."""

from barnabas.protocol.messages.acls import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest
from barnabas.protocol.messages.client_quotas import AlterClientQuotasRequest
from barnabas.protocol.messages.delegation_tokens import (
    CreateDelegationTokenRequest,
    DescribeDelegationTokenRequest,
)
from barnabas.protocol.messages.scram_credentials import (
    DescribeUserScramCredentialsRequest,
)

from ..answers import request
from .building import Call, quota, quotas_of, scram

ACL = {
    "resource_type": 2,
    "resource_name": "x",
    "principal": "User:a",
    "host": "*",
    "operation": 3,
    "permission_type": 3,
}
ACL_FILTER = {
    "resource_type_filter": 1,
    "resource_name_filter": None,
    "principal_filter": None,
    "host_filter": None,
    "operation": 1,
    "permission_type": 1,
}

SECURITY = {
    "acls: described": Call(request(DescribeAclsRequest, **ACL_FILTER), 3),
    "acls: created": Call(request(CreateAclsRequest, creations=[ACL]), 3),
    "acls: deleted": Call(request(DeleteAclsRequest, filters=[ACL_FILTER]), 3),
    "token: created": Call(
        request(CreateDelegationTokenRequest, owner_principal_type=None, owner_principal_name=None), 3
    ),
    "token: described": Call(request(DescribeDelegationTokenRequest, owners=None), 3),
    "scram: no user": scram(("", 1, 4096)),
    "scram: unknown mechanism": scram(("u", 0, 4096)),
    "scram: few iterations": scram(("u", 1, 1)),
    "scram: many iterations": scram(("u", 1, 100_000)),
    "scram: twice": scram(("u", 1, 4096), ("u", 2, 4096)),
    "scram: unknown mechanism, then again": scram(("u", 0, 4096), ("u", 1, 4096)),
    "scram: no user twice": scram(("", 1, 4096), ("", 1, 4096)),
    "scram: again, with an unknown mechanism": scram(("u", 1, 4096), ("u", 0, 4096)),
    "scram: unknown deleted": scram(deletions=(("u", 1),)),
    "scram: unknown deleted, then stored": scram(("u", 1, 4096), deletions=(("u", 1),)),
    "scram: unknown described": Call(request(DescribeUserScramCredentialsRequest, users=[{"name": "u"}]), 0),
    "scram: described twice": Call(request(DescribeUserScramCredentialsRequest, users=[{"name": "u"}] * 2), 0),
    "quota: unknown key": quota({"user": "u"}, ("no_such", 1.0)),
    "quota: not positive": quota({"user": "u"}, ("producer_byte_rate", 0.0)),
    "quota: fraction": quota({"user": "u"}, ("producer_byte_rate", 1.5)),
    "quota: key twice": quota({"user": "u"}, ("producer_byte_rate", 1.0), ("producer_byte_rate", 2.0)),
    "quota: entity twice": Call(
        request(
            AlterClientQuotasRequest,
            entries=[{"entity": [{"entity_type": "user", "entity_name": "u"}], "ops": []}] * 2,
        ),
        1,
    ),
    "quota: unknown entity": quota({"who": "u"}, ("producer_byte_rate", 1.0)),
    "quota: no entity": quota({}, ("producer_byte_rate", 1.0)),
    "quota: empty name": quota({"user": ""}, ("producer_byte_rate", 1.0)),
    "quota: user and address": quota({"user": "u", "ip": "127.0.0.1"}, ("connection_creation_rate", 1.0)),
    "quota: no address": quota({"ip": "not an address"}, ("connection_creation_rate", 1.0)),
    "quota: too large": quota({"ip": "127.0.0.1"}, ("connection_creation_rate", 3e9)),
    "quotas: unknown entity": quotas_of(("who", 0, "x")),
    "quotas: no entity": quotas_of(("", 0, "x")),
    "quotas: unknown match": quotas_of(("user", 9, None)),
    "quotas: null": quotas_of(("user", 0, None)),
    "quotas: default with a name": quotas_of(("user", 1, "x")),
    "quotas: any with a name": quotas_of(("user", 2, "x")),
    "quotas: twice": quotas_of(("user", 0, "x"), ("user", 0, "y")),
    "quotas: user and address": quotas_of(("user", 0, "x"), ("ip", 0, "127.0.0.1")),
}
