"""DescribeClientQuotas (KIP-546): there are none so far, and none can be set."""

from __future__ import annotations

from ...protocol.messages.client_quotas import DescribeClientQuotasRequest, DescribeClientQuotasResponse
from ..context import Context
from ..registry import handles


@handles(
    DescribeClientQuotasRequest,
    leaves_out="quotas are not built yet: there are none",
)
def describe_client_quotas(request: DescribeClientQuotasRequest, context: Context) -> DescribeClientQuotasResponse:
    """Find nothing, whatever is asked for."""
    del request, context
    return DescribeClientQuotasResponse(error_message=None, entries=[])
