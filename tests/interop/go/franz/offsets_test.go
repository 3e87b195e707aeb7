package franz

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

// at is a partition's offset, timestamp, leader epoch and error in a listing.
func at(o kadm.ListedOffset) []any {
	return []any{o.Offset, o.Timestamp, o.LeaderEpoch, o.Err}
}

func TestOffsetsAreListedByPlaceAndByTime(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 2)
	const first = 1_700_000_000_000
	fill(t, name, 0, 10, time.UnixMilli(first))
	live.Must(adm.DeleteRecords(ctx, kadm.Offsets{name: {0: {At: 3}}}))
	start, end := live.Must(adm.ListStartOffsets(ctx, name))[name], live.Must(adm.ListEndOffsets(ctx, name))[name]
	live.Equal(t, "start", at(start[0]), []any{3, -1, 0, nil})
	live.Equal(t, "start of the empty one", at(start[1]), []any{0, -1, 0, nil})
	live.Equal(t, "end", at(end[0]), []any{10, -1, 0, nil})
	live.Equal(t, "end of the empty one", at(end[1]), []any{0, -1, 0, nil})
	committed := live.Must(adm.ListCommittedOffsets(ctx, name))[name]
	live.Equal(t, "committed", at(committed[0]), []any{10, -1, 0, nil})
	local := live.Must(adm.ListLocalLogStartOffsets(ctx, name))[name]
	live.Equal(t, "local start", at(local[0]), []any{3, -1, 0, nil})
	remote := live.Must(adm.ListLatestRemoteOffsets(ctx, name))[name]
	live.Equal(t, "remote end", at(remote[0]), []any{-1, -1, -1, nil})
	highest := live.Must(adm.ListMaxTimestampOffsets(ctx, name))[name]
	live.Equal(t, "highest timestamp", at(highest[0]), []any{9, first + 9, 0, nil})
	live.Equal(t, "highest of none", at(highest[1]), []any{-1, -1, -1, nil})
	for milli, want := range map[int64][]any{
		first - 1: {3, first + 3, 0, nil}, first + 5: {5, first + 5, 0, nil}, first + 9: {9, first + 9, 0, nil},
		first + 10: {10, -1, 0, nil}, // nothing is later: kadm asks for the end then
	} {
		live.Equal(t, "by time", at(live.Must(adm.ListOffsetsAfterMilli(ctx, milli, name))[name][0]), want)
	}
	unknown := live.Must(adm.ListEndOffsets(ctx, "no-such-topic"))["no-such-topic"][-1]
	refuses(t, "an unknown topic", unknown.Err, kerr.UnknownTopicOrPartition)
}

func TestTheOffsetOfTheHighestTimestampIsThatOfTheRecordNotOfItsBatch(t *testing.T) {
	name := topic(t, 1)
	var records []*kgo.Record
	for _, milli := range []int64{1000, 9000, 5000} {
		records = append(records, &kgo.Record{Topic: name, Timestamp: time.UnixMilli(1_700_000_000_000 + milli)})
	}
	if err := writer().ProduceSync(live.Context(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	highest := live.Must(admin(t).ListMaxTimestampOffsets(live.Context(t), name))[name][0]
	live.Equal(t, "highest", at(highest), []any{1, 1_700_000_009_000, 0, nil})
}

func TestAStaleOrUnknownLeaderEpochIsRefused(t *testing.T) {
	name := topic(t, 1)
	fill(t, name, 0, 1)
	list := func(epoch int32) *kerr.Error {
		req := kmsg.NewPtrListOffsetsRequest()
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Timestamp, rp.CurrentLeaderEpoch = -1, epoch
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{rp}}}
		resp := ask[*kmsg.ListOffsetsResponse](t, req)
		return kerr.TypedErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	live.Equal(t, "the epoch there is", list(0) == nil, true)
	live.Equal(t, "a later epoch", list(7), kerr.UnknownLeaderEpoch)
}

func TestTheEndOfALeaderEpochIsTold(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	fill(t, name, 0, 5)
	ask := func(epoch int32) []any {
		var req kadm.OffsetForLeaderEpochRequest
		req.Add(name, 0, epoch)
		got := live.Must(adm.OffsetForLeaderEpoch(ctx, req))[name][0]
		return []any{got.LeaderEpoch, got.EndOffset, got.Err}
	}
	live.Equal(t, "epoch 0", ask(0), []any{0, 5, nil})
	live.Equal(t, "epoch 4", ask(4), []any{-1, -1, nil})
}

func TestRecordsAreDeletedUpToAnOffset(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	fill(t, name, 0, 10)
	deleteTo := func(offset int64) []any {
		got := live.Must(adm.DeleteRecords(ctx, kadm.Offsets{name: {0: {At: offset}}}))[name][0]
		return []any{got.LowWatermark, got.Err}
	}
	live.Equal(t, "to 4", deleteTo(4), []any{4, nil})
	live.Equal(t, "again", deleteTo(2), []any{4, nil})
	live.Equal(t, "beyond the end", deleteTo(11), []any{-1, kerr.OffsetOutOfRange})
	live.Equal(t, "the first record", read(t, name, 1)[0].Offset, 4)
	live.Equal(t, "all", deleteTo(-1), []any{10, nil})
	live.Equal(t, "a negative offset", deleteTo(-2), []any{-1, kerr.OffsetOutOfRange})
	fill(t, name, 0, 1)
	live.Equal(t, "the next record", read(t, name, 1)[0].Offset, 10)
}

func TestRecordsOfACompactedTopicAreNotDeleted(t *testing.T) {
	ctx, adm := live.Context(t), admin(t)
	for policy, want := range map[string]any{"compact": kerr.PolicyViolation, "compact,delete": nil} {
		name := topic(t, 1, "cleanup.policy", policy)
		writer().ProduceSync(ctx, &kgo.Record{Topic: name, Key: []byte("k")})
		got := live.Must(adm.DeleteRecords(ctx, kadm.Offsets{name: {0: {At: 1}}}))[name][0]
		live.Equal(t, policy, got.Err, want)
	}
}

func TestRecordsOfAnUnknownPartitionAreNotDeleted(t *testing.T) {
	name := topic(t, 1)
	for topic, partition := range map[string]int32{name: 5, live.Name("none"): 0} {
		req := kmsg.NewPtrDeleteRecordsRequest()
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Partition = partition
		req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{rp}}}
		resp := ask[*kmsg.DeleteRecordsResponse](t, req)
		got := resp.Topics[0].Partitions[0]
		live.Equal(t, "answer", []any{got.LowWatermark, kerr.ErrorForCode(got.ErrorCode)}, []any{-1, kerr.UnknownTopicOrPartition})
	}
}

func TestTheProducersOfAPartitionAreDescribed(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 2)
	cl := client(t, kgo.DefaultProduceTopic(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	stamp := time.UnixMilli(1_700_000_000_000)
	for range 3 {
		if err := cl.ProduceSync(ctx, &kgo.Record{Timestamp: stamp}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	id, _, _ := cl.ProducerID(ctx)
	described := live.Must(adm.DescribeProducers(ctx, kadm.TopicsSet{name: {0: {}, 1: {}}}))[name].Partitions
	live.Equal(t, "producers of an empty partition", []any{len(described[1].ActiveProducers), described[1].Err}, []any{0, nil})
	got := described[0].ActiveProducers[id]
	live.Equal(t, "leader, epoch, last sequence, last timestamp",
		[]any{got.Leader, got.ProducerEpoch, got.LastSequence, got.LastTimestamp}, []any{1, 0, 2, stamp.UnixMilli()})
	live.Equal(t, "coordinator epoch, start of a transaction", []any{got.CoordinatorEpoch, got.CurrentTxnStartOffset}, []any{-1, -1})
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: name, Partitions: []int32{7}}}
	resp := ask[*kmsg.DescribeProducersResponse](t, req)
	refuses(t, "an unknown partition", kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode), kerr.UnknownTopicOrPartition)
}

func TestAListingOfAllTopicsHasEachOfThem(t *testing.T) {
	ctx, adm, one, two := live.Context(t), admin(t), topic(t, 1), topic(t, 3)
	listed := live.Must(adm.ListEndOffsets(ctx))
	live.Equal(t, "partitions", []int{len(listed[one]), len(listed[two])}, []int{1, 3})
	live.Equal(t, "topics in order", slices.IsSorted(live.Must(adm.ListTopics(ctx)).Names()), true)
}
