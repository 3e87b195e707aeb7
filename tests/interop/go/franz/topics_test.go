package franz

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

func TestATopicIsMadeWithItsPartitionsAndConfigs(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), live.Name("topic")
	configs := map[string]*string{"retention.ms": kadm.StringPtr("12345"), "cleanup.policy": kadm.StringPtr("compact,delete")}
	created := live.Must(adm.CreateTopic(ctx, 3, 1, configs, name))
	live.Equal(t, "partitions", created.NumPartitions, 3)
	live.Equal(t, "replicas", created.ReplicationFactor, 1)
	retention := created.Configs["retention.ms"]
	live.Equal(t, "retention", retention.MaybeValue(), 12345)
	live.Equal(t, "source", retention.Source, kmsg.ConfigSourceDynamicTopicConfig)
	standard := created.Configs["max.message.bytes"]
	live.Equal(t, "default", standard.MaybeValue(), 1048588)
	live.Equal(t, "its source", standard.Source, kmsg.ConfigSourceDefaultConfig)
	live.Eventually(t, "the topic's metadata", func() bool { return live.Must(adm.ListTopics(ctx, name))[name].Err == nil })
	detail := live.Must(adm.ListTopics(ctx, name))[name]
	live.Equal(t, "id", detail.ID, created.ID)
	live.Equal(t, "internal", detail.IsInternal, false)
	for _, p := range detail.Partitions.Sorted() {
		live.Equal(t, "leader", p.Leader, 1)
		live.Equal(t, "leader epoch", p.LeaderEpoch, 0)
		live.Equal(t, "replicas", p.Replicas, []int32{1})
		live.Equal(t, "in sync", p.ISR, []int32{1})
		live.Equal(t, "offline", p.OfflineReplicas, []int32{})
	}
}

func TestMinusOneAsksForTheBrokersDefaults(t *testing.T) {
	created := live.Must(admin(t).CreateTopic(live.Context(t), -1, -1, nil, live.Name("topic")))
	live.Equal(t, "partitions and replicas", []any{created.NumPartitions, created.ReplicationFactor}, []int{1, 1})
}

func TestATopicThatIsOnlyValidatedIsNotMade(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), live.Name("topic")
	validated := live.Must(adm.ValidateCreateTopics(ctx, 2, 1, nil, name))[name]
	live.Equal(t, "error and partitions", []any{validated.Err, validated.NumPartitions}, []any{nil, 2})
	refuses(t, "metadata", live.Must(adm.ListTopics(ctx, name))[name].Err, kerr.UnknownTopicOrPartition)
}

func TestTopicsThatCannotBeMadeAreRefused(t *testing.T) {
	ctx, adm, taken := live.Context(t), admin(t), topic(t, 1)
	attempt := func(name string, partitions int32, replicas int16, settings ...string) error {
		configs := make(map[string]*string)
		for i := 0; i < len(settings); i += 2 {
			configs[settings[i]] = &settings[i+1]
		}
		return live.Must(adm.CreateTopics(ctx, partitions, replicas, configs, name))[name].Err
	}
	refuses(t, "a name that is taken", attempt(taken, 1, 1), kerr.TopicAlreadyExists)
	for _, name := range []string{"", ".", "..", "a b", "a/b", strings.Repeat("x", 250)} {
		refuses(t, "the name "+name, attempt(name, 1, 1), kerr.InvalidTopicException)
	}
	dotted := live.Name("with.dot")
	create(t, dotted, 1)
	refuses(t, "a name that collides", attempt(strings.ReplaceAll(dotted, ".", "_"), 1, 1), kerr.InvalidTopicException)
	refuses(t, "no partitions", attempt(live.Name("x"), 0, 1), kerr.InvalidPartitions)
	refuses(t, "-2 partitions", attempt(live.Name("x"), -2, 1), kerr.InvalidPartitions)
	refuses(t, "no replicas", attempt(live.Name("x"), 1, 0), kerr.InvalidReplicationFactor)
	refuses(t, "two replicas", attempt(live.Name("x"), 1, 2), kerr.InvalidReplicationFactor)
	refuses(t, "an unknown setting", attempt(live.Name("x"), 1, 1, "no.such.setting", "1"), kerr.InvalidConfig)
	refuses(t, "a word for a number", attempt(live.Name("x"), 1, 1, "retention.ms", "long"), kerr.InvalidConfig)
	refuses(t, "a value out of range", attempt(live.Name("x"), 1, 1, "segment.bytes", "-1"), kerr.InvalidConfig)
}

func TestReplicasMayBePlacedByHand(t *testing.T) {
	ctx, cl := live.Context(t), client(t)
	place := func(partitions int32, replicas int16, places map[int32][]int32) error {
		req := kmsg.NewPtrCreateTopicsRequest()
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = live.Name("topic"), partitions, replicas
		for partition, brokers := range places {
			ra := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			ra.Partition, ra.Replicas = partition, brokers
			rt.ReplicaAssignment = append(rt.ReplicaAssignment, ra)
		}
		req.Topics = append(req.Topics, rt)
		return kerr.ErrorForCode(live.Must(req.RequestWith(ctx, cl)).Topics[0].ErrorCode)
	}
	live.Equal(t, "on broker 1", place(-1, -1, map[int32][]int32{0: {1}, 1: {1}}), nil)
	refuses(t, "on broker 99", place(-1, -1, map[int32][]int32{0: {99}}), kerr.InvalidReplicaAssignment)
	refuses(t, "twice on broker 1", place(-1, -1, map[int32][]int32{0: {1, 1}}), kerr.InvalidReplicaAssignment)
	refuses(t, "nowhere", place(-1, -1, map[int32][]int32{0: {}}), kerr.InvalidReplicaAssignment)
	refuses(t, "a gap", place(-1, -1, map[int32][]int32{0: {1}, 2: {1}}), kerr.InvalidReplicaAssignment)
	refuses(t, "with a number of partitions", place(1, -1, map[int32][]int32{0: {1}}), kerr.InvalidRequest)
	refuses(t, "with a number of replicas", place(-1, 1, map[int32][]int32{0: {1}}), kerr.InvalidRequest)
}

func TestATopicNamedTwiceInARequestIsRefused(t *testing.T) {
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = live.Name("topic"), 1, 1
	req.Topics = append(req.Topics, rt, rt)
	resp := live.Must(req.RequestWith(live.Context(t), client(t)))
	live.Equal(t, "answers", len(resp.Topics), 1)
	refuses(t, "twice", kerr.ErrorForCode(resp.Topics[0].ErrorCode), kerr.InvalidRequest)
}

func TestTopicsAreDeletedByNameAndById(t *testing.T) {
	ctx, adm, cl := live.Context(t), admin(t), client(t)
	first, second, id := topic(t, 1), live.Name("topic"), kadm.TopicID{}
	id = create(t, second, 2)
	live.Equal(t, "by name", live.Must(adm.DeleteTopics(ctx, first)).Error(), nil)
	byId := func(name *string, id kadm.TopicID) error {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: name, TopicID: id}}
		return kerr.ErrorForCode(live.Must(req.RequestWith(ctx, cl)).Topics[0].ErrorCode)
	}
	refuses(t, "by name and id", byId(&second, id), kerr.InvalidRequest)
	live.Equal(t, "by id", byId(nil, id), nil)
	for _, name := range []string{first, second} {
		live.Eventually(t, "the end of "+name, func() bool {
			return live.Must(adm.ListTopics(ctx, name))[name].Err == kerr.UnknownTopicOrPartition
		})
		_, err := adm.DeleteTopic(ctx, name)
		refuses(t, "a deleted name", err, kerr.UnknownTopicOrPartition)
	}
	refuses(t, "a deleted id", byId(nil, id), kerr.UnknownTopicID)
}

func TestPartitionsAreAdded(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	count := func() int { return len(live.Must(adm.ListTopics(ctx, name))[name].Partitions) }
	live.Equal(t, "validated", live.Must(adm.ValidateCreatePartitions(ctx, 4, name)).Error(), nil)
	live.Equal(t, "validated", live.Must(adm.ValidateUpdatePartitions(ctx, 4, name)).Error(), nil)
	live.Equal(t, "partitions after validation", count(), 1)
	live.Equal(t, "two more", live.Must(adm.CreatePartitions(ctx, 2, name)).Error(), nil)
	live.Eventually(t, "three partitions", func() bool { return count() == 3 })
	live.Equal(t, "five in all", live.Must(adm.UpdatePartitions(ctx, 5, name)).Error(), nil)
	live.Eventually(t, "five partitions", func() bool { return count() == 5 })
	fill(t, name, 4, 3)
	live.Equal(t, "end", live.Must(adm.ListEndOffsets(ctx, name))[name][4].Offset, 3)
}

func TestPartitionsThatCannotBeAddedAreRefused(t *testing.T) {
	ctx, cl, name := live.Context(t), client(t), topic(t, 2)
	add := func(name string, count int32, places ...[]int32) error {
		req := kmsg.NewPtrCreatePartitionsRequest()
		rt := kmsg.NewCreatePartitionsRequestTopic()
		rt.Topic, rt.Count = name, count
		for _, replicas := range places {
			rt.Assignment = append(rt.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: replicas})
		}
		req.Topics = append(req.Topics, rt)
		return kerr.ErrorForCode(live.Must(req.RequestWith(ctx, cl)).Topics[0].ErrorCode)
	}
	refuses(t, "as many as there are", add(name, 2), kerr.InvalidPartitions)
	refuses(t, "fewer", add(name, 1), kerr.InvalidPartitions)
	refuses(t, "-1", add(name, -1), kerr.InvalidPartitions)
	refuses(t, "an unknown topic", add(live.Name("none"), 2), kerr.UnknownTopicOrPartition)
	refuses(t, "one place for two", add(name, 4, []int32{1}), kerr.InvalidReplicaAssignment)
	refuses(t, "an unknown broker", add(name, 3, []int32{99}), kerr.InvalidReplicaAssignment)
	refuses(t, "two replicas", add(name, 3, []int32{1, 1}), kerr.InvalidReplicaAssignment)
	live.Equal(t, "a place for each", add(name, 4, []int32{1}, []int32{1}), nil)
}

func TestMetadataKnowsTopicsByNameAndById(t *testing.T) {
	ctx, cl, name := live.Context(t), client(t), live.Name("topic")
	id := create(t, name, 2)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{TopicID: id}, {TopicID: kadm.TopicID{15: 1}}}
	resp := live.Must(req.RequestWith(ctx, cl))
	for _, rt := range resp.Topics {
		if rt.TopicID == id {
			live.Equal(t, "name, code, partitions", []any{*rt.Topic, rt.ErrorCode, len(rt.Partitions)}, []any{name, 0, 2})
		} else {
			refuses(t, "an unknown id", kerr.ErrorForCode(rt.ErrorCode), kerr.UnknownTopicID)
		}
	}
	all := live.Must(admin(t).ListTopics(ctx))
	live.Equal(t, "in the list of all", all.Has(name), true)
	for _, bad := range []string{"a b", strings.Repeat("x", 250)} {
		refuses(t, "a bad name", live.Must(admin(t).ListTopics(ctx, bad))[bad].Err, kerr.InvalidTopicException)
	}
}

// DescribeTopicPartitions (KIP-966) has no call in kadm.
func TestPartitionsAreDescribedPageByPage(t *testing.T) {
	ctx, cl := live.Context(t), client(t)
	first, second := "a"+live.Name("page"), "b"+live.Name("page")
	id := create(t, first, 3)
	create(t, second, 2)
	ask := func(limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, names ...string) *kmsg.DescribeTopicPartitionsResponse {
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		for _, name := range names {
			req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
		}
		req.ResponsePartitionLimit, req.Cursor = limit, cursor
		return live.Must(req.RequestWith(ctx, cl))
	}
	page := ask(2, nil, second, first)
	live.Equal(t, "topics of the first page", len(page.Topics), 1)
	got := page.Topics[0]
	live.Equal(t, "the first", []any{*got.Topic, kadm.TopicID(got.TopicID), len(got.Partitions), got.ErrorCode}, []any{first, id, 2, 0})
	live.Equal(t, "leader, epoch, replicas, ISR", []any{got.Partitions[0].LeaderID, got.Partitions[0].LeaderEpoch,
		got.Partitions[0].Replicas, got.Partitions[0].ISR}, []any{1, 0, []int32{1}, []int32{1}})
	live.Equal(t, "cursor", []any{page.NextCursor.Topic, page.NextCursor.Partition}, []any{first, 2})
	cursor := kmsg.DescribeTopicPartitionsRequestCursor{Topic: page.NextCursor.Topic, Partition: page.NextCursor.Partition}
	page = ask(10, &cursor, second, first)
	live.Equal(t, "topics of the second page", len(page.Topics), 2)
	live.Equal(t, "their partitions", []int{len(page.Topics[0].Partitions), len(page.Topics[1].Partitions)}, []int{1, 2})
	live.Equal(t, "the last cursor", page.NextCursor == nil, true)
	none := ask(10, nil, live.Name("none"))
	refuses(t, "an unknown topic", kerr.ErrorForCode(none.Topics[0].ErrorCode), kerr.UnknownTopicOrPartition)
	listed := false
	for _, rt := range ask(2000, nil).Topics {
		listed = listed || *rt.Topic == first
	}
	live.Equal(t, "in the list of all", listed, true)
}

func TestAnInternalTopicIsToldApart(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	live.Must(adm.CommitOffsets(ctx, live.Name("group"), kadm.Offsets{name: {0: {Topic: name, At: 0, LeaderEpoch: -1}}}))
	offsets := live.Must(adm.ListTopicsWithInternal(ctx))["__consumer_offsets"]
	live.Equal(t, "internal", offsets.IsInternal, true)
	live.Equal(t, "in the list without", live.Must(adm.ListTopics(ctx)).Has("__consumer_offsets"), false)
	err := client(t, kgo.RecordRetries(0)).ProduceSync(ctx, &kgo.Record{Topic: "__consumer_offsets"}).FirstErr()
	refuses(t, "a record", err, kerr.InvalidTopicException)
}
