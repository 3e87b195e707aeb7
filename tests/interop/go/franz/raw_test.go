package franz

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

// bits returns the number of a set of operations, as the protocol has it.
func bits(operations ...int) (number int32) {
	for _, operation := range operations {
		number |= 1 << operation
	}
	return number
}

// The numbers are those of Kafka's AclOperation: read 3, write 4, create 5, delete 6, alter 7, describe 8, ...
func TestEveryoneMayDoEverythingWhereNobodyForbids(t *testing.T) {
	name, group := topic(t, 1), live.Name("group")
	cluster := kmsg.NewPtrDescribeClusterRequest()
	cluster.IncludeClusterAuthorizedOperations = true
	live.Equal(t, "cluster", ask[*kmsg.DescribeClusterResponse](t, cluster).ClusterAuthorizedOperations,
		bits(5, 7, 8, 9, 10, 11, 12))
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.IncludeTopicAuthorizedOperations = true
	metadata.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	live.Equal(t, "topic", ask[*kmsg.MetadataResponse](t, metadata).Topics[0].AuthorizedOperations,
		bits(3, 4, 5, 6, 7, 8, 10, 11))
	shared(t, []int{1}, join(t, group, name))
	groups := kmsg.NewPtrDescribeGroupsRequest()
	groups.IncludeAuthorizedOperations, groups.Groups = true, []string{group}
	live.Equal(t, "group", ask[*kmsg.DescribeGroupsResponse](t, groups).Groups[0].AuthorizedOperations, bits(3, 6, 8, 10, 11))
}

func TestConfigsOfUnknownResourcesAreRefused(t *testing.T) {
	describe := func(kind kmsg.ConfigResourceType, name string) error {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: name}}
		return kerr.ErrorForCode(ask[*kmsg.DescribeConfigsResponse](t, req).Resources[0].ErrorCode)
	}
	alter := func(kind kmsg.ConfigResourceType, name, key string) error {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		rc.Name, rc.Value = key, kmsg.StringPtr("1")
		req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
			ResourceType: kind, ResourceName: name, Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{rc},
		}}
		return kerr.ErrorForCode(ask[*kmsg.IncrementalAlterConfigsResponse](t, req).Resources[0].ErrorCode)
	}
	const topics, brokers, loggers = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger
	refuses(t, "another broker", describe(brokers, "2"), kerr.InvalidRequest)
	refuses(t, "a broker of letters", describe(brokers, "one"), kerr.InvalidRequest)
	refuses(t, "the loggers of another broker", describe(loggers, "2"), kerr.InvalidRequest)
	refuses(t, "a name that no topic has", describe(topics, "a b"), kerr.InvalidTopicException)
	refuses(t, "to set for another broker", alter(brokers, "2", "log.retention.ms"), kerr.InvalidRequest)
	refuses(t, "to set for a broker of letters", alter(brokers, "one", "log.retention.ms"), kerr.InvalidRequest)
	refuses(t, "to set for a topic without a name", alter(topics, "", "retention.ms"), kerr.InvalidRequest)
	refuses(t, "to set for an unknown kind", alter(77, "x", "y"), kerr.InvalidRequest)
	refuses(t, "an unknown kind", describe(77, "x"), kerr.InvalidRequest)
}

func TestTheLoggersOfTheBrokerAreDescribed(t *testing.T) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "1"}}
	resource := ask[*kmsg.DescribeConfigsResponse](t, req).Resources[0]
	live.Equal(t, "code", resource.ErrorCode, 0)
	levels := make(map[string]string)
	for _, c := range resource.Configs {
		levels[c.Name] = *c.Value
	}
	live.Equal(t, "the root has a level", levels["root"] != "", true)
}

func TestARefusedBatchNamesTheRecordAndTheReason(t *testing.T) {
	id := create(t, live.Name("topic"), 1, "cleanup.policy", "compact")
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	req.Topics = []kmsg.ProduceRequestTopic{{
		TopicID: id, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: sequence{-1, -1, -1}.encoded()}},
	}}
	got := ask[*kmsg.ProduceResponse](t, req).Topics[0].Partitions[0]
	refuses(t, "a record without a key", kerr.ErrorForCode(got.ErrorCode), kerr.InvalidRecord)
	live.Equal(t, "offset, time, records", []any{got.BaseOffset, got.LogAppendTime, len(got.ErrorRecords)}, []any{-1, -1, 1})
	live.Equal(t, "its place", got.ErrorRecords[0].RelativeOffset, 0)
	live.Equal(t, "it has a reason", got.ErrorMessage != nil && *got.ErrorMessage != "", true)
}

func TestAFetchTellsWhereThePartitionStartsAndEnds(t *testing.T) {
	name := live.Name("topic")
	id := create(t, name, 1)
	fill(t, name, 0, 3)
	fetch := func(offset int64, epoch int32) kmsg.FetchResponseTopicPartition {
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes, req.SessionEpoch = 1<<20, -1
		p := kmsg.NewFetchRequestTopicPartition()
		p.FetchOffset, p.CurrentLeaderEpoch, p.PartitionMaxBytes = offset, epoch, 1<<20
		req.Topics = []kmsg.FetchRequestTopic{{TopicID: id, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
		return ask[*kmsg.FetchResponse](t, req).Topics[0].Partitions[0]
	}
	facts := func(p kmsg.FetchResponseTopicPartition) []any {
		return []any{p.ErrorCode, p.HighWatermark, p.LastStableOffset, p.LogStartOffset, p.PreferredReadReplica}
	}
	live.Equal(t, "at the start", facts(fetch(0, -1)), []int{0, 3, 3, 0, -1})
	live.Equal(t, "at the end", facts(fetch(3, 0)), []int{0, 3, 3, 0, -1})
	live.Equal(t, "beyond the end", facts(fetch(4, 0)), []int{1, -1, -1, -1, -1})
	later := fetch(0, 5)
	live.Equal(t, "with a later epoch", facts(later), []int{75, -1, -1, -1, -1})
}

func TestAProducerIdIsNewEvenWhenOneIsNamed(t *testing.T) {
	id := producerId(t)
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = 10_000, id, 0
	resp := ask[*kmsg.InitProducerIDResponse](t, req)
	live.Equal(t, "code and epoch", []any{resp.ErrorCode, resp.ProducerEpoch}, []int{0, 0})
	live.Equal(t, "another id", resp.ProducerID > id, true)
}

func TestPlacesThatNoOffsetHasAreRefused(t *testing.T) {
	name := topic(t, 1)
	list := func(partition int32, timestamp int64) error {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = partition, timestamp
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{rp}}}
		return kerr.ErrorForCode(ask[*kmsg.ListOffsetsResponse](t, req).Topics[0].Partitions[0].ErrorCode)
	}
	live.Equal(t, "the earliest", list(0, -2), nil)
	refuses(t, "an unknown partition", list(9, -2), kerr.UnknownTopicOrPartition)
	refuses(t, "a place that there is not", list(0, -77), kerr.UnsupportedVersion)
}
