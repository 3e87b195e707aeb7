"""Writes docs/compatibility.md from what the code declares: ``make compatibility``."""

import importlib
import pkgutil
import sys
from pathlib import Path

from barnabas.broker import apis
from barnabas.broker.registry import Api, collect
from barnabas.protocol import messages
from barnabas.protocol.schema import Request, Versions

PAGE = Path(__file__).with_suffix(".md")

SHARE_GROUPS = "share groups (KIP-932) are not built"
STREAMS_GROUPS = "streams groups (KIP-1071) are not built; Kafka Streams uses the classic protocol"
TELEMETRY = "nothing receives the metrics of clients; Kafka does not offer it either then"
NOT_OFFERED = {
    **dict.fromkeys((71, 72), TELEMETRY),
    **dict.fromkeys((76, 77, 78, 79, 83, 84, 85, 86, 87, 90, 91, 92), SHARE_GROUPS),
    **dict.fromkeys((88, 89), STREAMS_GROUPS),
}

HEAD = """\
# Compatibility

The reference is Apache Kafka 4.3. Older versions than listed are those that Kafka 4 itself has dropped. This page is
made by `make compatibility` from what the code declares.

## What is offered

| key | API | versions | left out |
| --- | --- | --- | --- |
"""
MIDDLE = """
## What is not

These are not advertised; a client that sends one all the same is disconnected, as by Kafka.

| key | API | versions of Kafka 4.3 | why |
| --- | --- | --- | --- |
"""
TAIL = """
## Small differences that a client could see

Topics and settings:

- The answer to a Metadata request already contains the topic that the request creates. Kafka first answers
  UNKNOWN_TOPIC_OR_PARTITION, and clients ask again. Here clients save one round trip. Code that looks up a deleted
  topic to see whether it is gone creates the topic again with both brokers, but only Kafka's answer says "gone";
  `barnabas.auto.create.topics.at.once=false` answers as Kafka does. Most admin clients ask without creating topics.
- All partitions of a topic have the same leader epoch, including partitions that were added later.
- A partition whose files are gone at the start continues at the offset where it ended. Kafka's begins again at 0.
  Both get a new leader epoch.
- DescribeConfigs describes a resource once when a request names it twice.
- Clients can change `advertised.listeners` while the broker runs; Kafka with KRaft refuses that. When they remove a
  listener, its connections are closed without an answer.
- `min.insync.replicas` is a setting of all brokers from the start, as in Kafka with eligible leader replicas. Until a
  client sets it, it has the value of the present start; in Kafka it has the value of the first start.
- Error messages are Kafka's, or say more: all wrong settings, the bound, the setting that was probably meant.
  tests/support/refused/differences.py lists them.

Groups:

- A classic member that sends JoinGroup or SyncGroup again before the first one is answered gets REBALANCE_IN_PROGRESS
  for the first one. Kafka never answers the first one.
- OffsetCommit is as durable as the log. The catalog has a group from its first completed generation on.
- The catalog holds the state that Kafka keeps in `__consumer_offsets` and `__transaction_state`. `__consumer_offsets`
  gets a copy in Kafka's format some milliseconds after the answer (`barnabas.offsets.topic.enable`);
  `__transaction_state` stays empty. In the copy, the offsets of a transaction are plain records, written at its end.
  Their values have version 3, which older tools read as well; Kafka 4.3 writes version 4 with topic ids. The hash of
  the topics of a consumer group is a different number.
- A group of the consumer protocol gets a new assignment at each change; `group.consumer.assignment.interval.ms` has
  no effect.
- A member of such a group commits with the epoch since which it has a partition, as in Kafka. After a restart of the
  broker, it counts as having received its partitions at its present epoch.
- Regular expressions of such groups, and of ListTransactions, are those of RE2; Kafka's are those of RE2/J. Only
  Barnabas refuses nested repeats with a product above 1,000 (`(a{1,100}){1,50}`), expressions that need more than 1
  MiB when compiled (`\\pL{500}`), and an escaped letter outside of ASCII. Only Barnabas accepts scripts of later
  versions of Unicode, and group names that occur twice or have letters outside of ASCII. Without google-re2 Barnabas
  accepts fewer expressions (installing.md).

Transactions:

- The broker aborts a transaction as soon as its time is up. Kafka looks for such transactions every ten seconds
  (`transaction.abort.timed.out.transaction.cleanup.interval.ms`, without an effect here).
- A producer that starts while the transaction of its predecessor is open need not retry: the broker first aborts the
  transaction, and then answers with the new epoch.
- The offsets of a transaction are committed when its end is decided, before the markers are written.
- A marker that an operator writes with a higher coordinator epoch (WriteTxnMarkers) raises the epoch of the
  coordinator, and transactions go on. In Kafka the transaction stays open until the coordinator is loaded again with
  a higher epoch.
- Requests of the new transaction protocol (KIP-890) work at every level of `transaction.version`; Kafka fails at
  level 0. Clients follow the level and do not send them.
- Two-phase commit (KIP-939) is not available, as by default in Kafka.

Records:

- A batch may state a max timestamp that is possible but wrong. Lookups find the batch by the stated timestamp; Kafka
  corrects it.
- A lookup by timestamp goes on to the next segment when compaction or DeleteRecords has removed all matching records
  of a segment. Kafka finds nothing then. Kafka also finds nothing where whole segments were deleted, until it next
  looks for segments to delete (five minutes).
- The broker always refuses a batch that claims to have a log append time. Kafka refuses it only where the broker sets
  that time.
- Unreadable records get INVALID_RECORD where the broker has to look at them; some of them get UNKNOWN_SERVER_ERROR
  from Kafka.
- All fetch sessions together remember 200,000 partitions. A client beyond that names its partitions in every request.
"""


def declared() -> dict[int, type[Request]]:
    """Return the requests of all APIs that clients of Kafka 4.3 can send, by key."""
    for module in pkgutil.iter_modules(messages.__path__):
        importlib.import_module(f"{messages.__name__}.{module.name}")
    return {request.api_key: request for request in Request.__subclasses__()}


def offered(api: Api) -> str:
    """Return the row of an API that has a handler."""
    request = api.request
    versions = _range(request.versions)
    if request.advertised != request.versions:
        versions += f" ({_range(request.advertised)} advertised, as by Kafka)"
    return f"| {request.api_key} | {request.api_name()} | {versions} | {api.leaves_out} |\n"


def not_offered(request: type[Request]) -> str:
    """Return the row of an API that has none. Raises KeyError when nobody said why."""
    why = NOT_OFFERED[request.api_key]
    return f"| {request.api_key} | {request.api_name()} | {_range(request.versions)} | {why} |\n"


def _range(versions: Versions) -> str:
    low, high = versions
    return f"{low}-{high}" if high > low else str(low)


def page() -> str:
    """Return the page as it should be."""
    handled = collect(apis.__name__)
    missing = (request for key, request in sorted(declared().items()) if key not in handled)
    return "".join([HEAD, *map(offered, handled.values()), MIDDLE, *map(not_offered, missing), TAIL])


def main() -> int:
    """Write the page; with --check say only whether it is as it should be."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        print(f"{PAGE.name} is not what the code declares: make compatibility", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
