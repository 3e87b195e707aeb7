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

- A topic that a Metadata request makes is in the answer to that request. Clients save a round trip and a wait, and
  cannot tell it from a topic that was there before. Kafka answers UNKNOWN_TOPIC_OR_PARTITION until the topic is made,
  and clients ask again; code that asks for a deleted topic to see that it is gone takes that for a yes, though its
  question makes the topic again. `barnabas.auto.create.topics.at.once=false` answers as Kafka does. Most admin
  clients ask without making topics and get the same answer from both.
- The classic group coordinator answers a JoinGroup or SyncGroup that was overtaken by the same member's next one with
  REBALANCE_IN_PROGRESS; Kafka never answers it.
- An OffsetCommit is durable like the log is, and a group is stored with its first completed generation.
- All partitions of a topic have the same leader epoch, also those that were added later.
- DescribeConfigs describes a resource once that is named twice in a request.
- `advertised.listeners` can be changed while the broker runs (a connection to a listener that is removed so is closed
  without an answer); Kafka with KRaft refuses that.
- `min.insync.replicas` is a setting of all brokers from the start, as in Kafka with eligible leader replicas. It has
  the value that the broker is started with until it is set; Kafka goes on with the value of its first start.
- Requests of the new transaction protocol (KIP-890) work at every level of `transaction.version`; Kafka fails at
  level 0. Clients follow the level and do not send them.
- What Kafka keeps in `__consumer_offsets` and `__transaction_state` is in the catalog. The first gets a copy in
  Kafka's format, some milliseconds after the answer (`barnabas.offsets.topic.enable`); the second stays empty. The
  copy has the offsets of a transaction as plain records at its end. Offsets have version 3, which older tools read as
  well, where Kafka 4.3 writes version 4 with topic ids. The hash of the topics of a consumer group is another number.
- A group of the consumer protocol is assigned anew with every change at once;
  `group.consumer.assignment.interval.ms` has no effect.
- Regular expressions of such groups, and of ListTransactions, are those of RE2, in Kafka those of RE2/J. Refused
  here only: repeats of repeats that come to more than 1,000 (`(a{1,100}){1,50}`), expressions that take more than
  1 MiB when they are compiled (`\\pL{500}`), an escaped letter outside of ASCII. Taken here only: scripts that came
  with later versions of Unicode, names of groups that occur twice or have letters outside of ASCII. Without
  google-re2 fewer expressions are taken (installing.md).
- A member of such a group commits with the epoch since which it has a partition, as in Kafka; after a restart of the
  broker it counts as having got its partitions at its present epoch.
- A transaction that takes too long is aborted when its time is up; Kafka looks for those every ten seconds
  (`transaction.abort.timed.out.transaction.cleanup.interval.ms`, which has no effect here).
- A producer that starts while its predecessor's transaction is open need not try again: the transaction is aborted
  first, and the answer has the new epoch.
- Offsets in a transaction are committed when its end is decided, which is before the markers are written.
- A marker that an operator writes with a higher coordinator epoch (WriteTxnMarkers) raises the epoch of the
  coordinator, which then goes on; in Kafka the transaction stays open until the coordinator is loaded again with a
  higher epoch.
- Two-phase commit (KIP-939) is not there, as by default in Kafka.
- Error messages are Kafka's, or say more: all wrong settings, the bound, the setting that was probably meant.
  tests/support/refused/differences.py lists them.
- A batch whose header states a max timestamp that could be but is not is found by that one; Kafka puts it right.
- A search by timestamp goes on in the next segment where all that is late enough in one has been deleted; Kafka then
  finds nothing, and until its next look for segments to delete (five minutes) also where whole segments were deleted.
- A batch that claims to have a log append time is always refused, by Kafka only where the broker sets that time.
- Records that cannot be read are INVALID_RECORD where they are looked at; for some of them Kafka has
  UNKNOWN_SERVER_ERROR.
- A partition whose files are gone at the start goes on at the offset where it ended, Kafka's begins again at 0. Both
  have a new leader epoch then.
- Fetch sessions remember 200,000 partitions together; who asks for more names them in every request.
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
