package sarama_test

import (
	"slices"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"interop/live"
)

func pointer(value string) *string { return &value }

func TestTopicsAreMadeListedDescribedAndDeleted(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm, name := admin(t, c), live.Name("topic")
		detail := &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1,
			ConfigEntries: map[string]*string{"retention.ms": pointer("12345")}}
		accepts(t, "validate", adm.CreateTopic(name, detail, true))
		live.Equal(t, "only validated", live.Must(adm.DescribeTopics([]string{name}))[0].Err, sarama.ErrUnknownTopicOrPartition)
		accepts(t, "create", adm.CreateTopic(name, detail, false))
		refuses(t, "again", adm.CreateTopic(name, detail, false), sarama.ErrTopicAlreadyExists)
		var listed sarama.TopicDetail
		live.Eventually(t, "the topic in the list", func() bool {
			listed = live.Must(adm.ListTopics())[name]
			return listed.NumPartitions > 0
		})
		live.Equal(t, "listed", []any{listed.NumPartitions, listed.ReplicationFactor, *listed.ConfigEntries["retention.ms"]},
			[]any{3, 1, "12345"})
		described := live.Must(adm.DescribeTopics([]string{name}))[0]
		live.Equal(t, "described", []any{described.Err, len(described.Partitions), described.IsInternal},
			[]any{sarama.ErrNoError, 3, false})
		accepts(t, "delete", adm.DeleteTopic(name))
		refuses(t, "delete again", adm.DeleteTopic(name), sarama.ErrUnknownTopicOrPartition)
	})
}

func TestTopicsThatCannotBeMadeAreRefused(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm := admin(t, c)
		create := func(name string, d sarama.TopicDetail) error { return adm.CreateTopic(name, &d, false) }
		refuses(t, "a space", create("a b", sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}), sarama.ErrInvalidTopic)
		refuses(t, "no partitions", create(live.Name("x"), sarama.TopicDetail{ReplicationFactor: 1}), sarama.ErrInvalidPartitions)
		refuses(t, "two replicas", create(live.Name("x"), sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 2}),
			sarama.ErrInvalidReplicationFactor)
		refuses(t, "an unknown setting", create(live.Name("x"), sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1,
			ConfigEntries: map[string]*string{"no.such": pointer("1")}}), sarama.ErrInvalidConfig)
		refuses(t, "an unknown broker", create(live.Name("x"), sarama.TopicDetail{NumPartitions: -1, ReplicationFactor: -1,
			ReplicaAssignment: map[int32][]int32{0: {99}}}), sarama.ErrInvalidReplicaAssignment)
	})
}

func TestPartitionsAreAdded(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm, name := admin(t, c), topic(t, 1)
		accepts(t, "validate", adm.CreatePartitions(name, 3, nil, true))
		accepts(t, "create", adm.CreatePartitions(name, 3, nil, false))
		live.Eventually(t, "three partitions", func() bool {
			return len(live.Must(adm.DescribeTopics([]string{name}))[0].Partitions) == 3
		})
		accepts(t, "placed by hand", adm.CreatePartitions(name, 4, [][]int32{{1}}, false))
		refuses(t, "fewer", adm.CreatePartitions(name, 2, nil, false), sarama.ErrInvalidPartitions)
		refuses(t, "an unknown broker", adm.CreatePartitions(name, 5, [][]int32{{9}}, false), sarama.ErrInvalidReplicaAssignment)
		refuses(t, "an unknown topic", adm.CreatePartitions(live.Name("x"), 5, nil, false), sarama.ErrUnknownTopicOrPartition)
	})
}

func TestReplicasStayWhereTheyAre(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm, name := admin(t, c), topic(t, 2)
		accepts(t, "to where they are", adm.AlterPartitionReassignments(name, [][]int32{{1}, {1}}))
		refuses(t, "to an unknown broker", adm.AlterPartitionReassignments(name, [][]int32{{99}, {1}}), sarama.ErrInvalidReplicaAssignment)
		listed := live.Must(adm.ListPartitionReassignments(name, []int32{0, 1}))
		live.Equal(t, "reassignments", len(listed), 0)
		elected := live.Must(adm.ElectLeaders(sarama.PreferredElection, map[string][]int32{name: {0, 7}}))[name]
		live.Equal(t, "elections", []any{elected[0].ErrorCode, elected[7].ErrorCode},
			[]any{sarama.ErrElectionNotNeeded, sarama.ErrUnknownTopicOrPartition})
	})
}

func TestRecordsAreDeleted(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm, name := admin(t, c), topic(t, 1)
		fill(t, name, 0, 10, time.Now())
		accepts(t, "to 4", adm.DeleteRecords(name, map[int32]int64{0: 4}))
		live.Equal(t, "the first", read(t, c, name, 0, sarama.OffsetOldest, 1)[0].Offset, 4)
		refuses(t, "beyond the end", adm.DeleteRecords(name, map[int32]int64{0: 11}), sarama.ErrOffsetOutOfRange)
	})
}

func TestConfigsOfTopicsAreDescribedAndAltered(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm, name := admin(t, c), topic(t, 1)
		get := func(key string) sarama.ConfigEntry {
			for _, e := range live.Must(adm.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: name})) {
				if e.Name == key {
					return e
				}
			}
			return sarama.ConfigEntry{}
		}
		live.Equal(t, "default", []any{get("retention.ms").Value, get("retention.ms").Default}, []any{"604800000", true})
		whole := map[string]*string{"retention.ms": pointer("1000")}
		accepts(t, "validate", adm.AlterConfig(sarama.TopicResource, name, whole, true))
		accepts(t, "alter", adm.AlterConfig(sarama.TopicResource, name, whole, false))
		live.Eventually(t, "retention of 1000", func() bool { return get("retention.ms").Value == "1000" })
		add := map[string]sarama.IncrementalAlterConfigsEntry{
			"segment.ms":     {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: pointer("5000")},
			"retention.ms":   {Operation: sarama.IncrementalAlterConfigsOperationDelete},
			"cleanup.policy": {Operation: sarama.IncrementalAlterConfigsOperationAppend, Value: pointer("compact")},
		}
		accepts(t, "incremental", adm.IncrementalAlterConfig(sarama.TopicResource, name, add, false))
		live.Eventually(t, "segments of 5000", func() bool { return get("segment.ms").Value == "5000" })
		live.Equal(t, "others", []any{get("retention.ms").Value, get("cleanup.policy").Value}, []any{"604800000", "delete,compact"})
		live.Equal(t, "source", get("segment.ms").Source, sarama.SourceTopic)

		bad := map[string]*string{"retention.ms": pointer("long")}
		refuses(t, "a word", adm.AlterConfig(sarama.TopicResource, name, bad, false), sarama.ErrInvalidConfig)
		refuses(t, "an unknown topic", adm.AlterConfig(sarama.TopicResource, "no-such-topic", whole, false), sarama.ErrUnknownTopicOrPartition)
		unknown := map[string]sarama.IncrementalAlterConfigsEntry{"no.such": {Value: pointer("1")}}
		refuses(t, "an unknown setting", adm.IncrementalAlterConfig(sarama.TopicResource, name, unknown, true), sarama.ErrInvalidConfig)
	})
}

func TestConfigsOfManyResourcesAreDescribed(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm, name := admin(t, c), topic(t, 1)
		resources := []*sarama.ConfigResource{
			{Type: sarama.TopicResource, Name: name, ConfigNames: []string{"segment.bytes"}},
			{Type: sarama.TopicResource, Name: "no-such-topic"},
			{Type: sarama.BrokerResource, Name: "1", ConfigNames: []string{"node.id", "num.partitions"}},
		}
		options := sarama.DescribeConfigsOptions{IncludeSynonyms: true, IncludeDocumentation: true}
		got := make(map[string]*sarama.ConfigResourceResult)
		for _, r := range live.Must(adm.DescribeConfigs(resources, options)) {
			got[r.Name] = r
		}
		live.Equal(t, "unknown topic", got["no-such-topic"].ErrorCode, sarama.ErrUnknownTopicOrPartition)
		one := got[name].Configs[0]
		live.Equal(t, "topic's", []any{len(got[name].Configs), one.Name, one.Value, one.Type, one.Synonyms[0].ConfigName},
			[]any{1, "segment.bytes", "1073741824", sarama.IntConfigType, "log.segment.bytes"})
		live.Equal(t, "has words", one.Documentation != nil && *one.Documentation != "", true)
		for _, e := range got["1"].Configs {
			live.Equal(t, e.Name, []any{e.Value, e.ReadOnly}, []any{"1", e.Name == "node.id" || e.Name == "num.partitions"})
		}
	})
}

func TestConfigsOfTheBrokerAreAltered(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm := admin(t, c)
		const key = "log.cleaner.min.compaction.lag.ms"
		get := func() (string, sarama.ConfigSource) {
			resource := sarama.ConfigResource{Type: sarama.BrokerResource, Name: "1", ConfigNames: []string{key}}
			e := live.Must(adm.DescribeConfig(resource))[0]
			return e.Value, e.Source
		}
		change := func(name string, op sarama.IncrementalAlterConfigsOperation, value *string) error {
			entries := map[string]sarama.IncrementalAlterConfigsEntry{key: {Operation: op, Value: value}}
			return adm.IncrementalAlterConfig(sarama.BrokerResource, name, entries, false)
		}
		for name, source := range map[string]sarama.ConfigSource{"1": sarama.SourceDynamicBroker, "": sarama.SourceDynamicDefaultBroker} {
			accepts(t, "set", change(name, sarama.IncrementalAlterConfigsOperationSet, pointer("77")))
			live.Eventually(t, "77", func() bool { v, s := get(); return v == "77" && s == source })
			accepts(t, "delete", change(name, sarama.IncrementalAlterConfigsOperationDelete, nil))
			live.Eventually(t, "0", func() bool { v, s := get(); return v == "0" && s == sarama.SourceDefault })
		}
		fixed := map[string]sarama.IncrementalAlterConfigsEntry{"node.id": {Value: pointer("2")}}
		refuses(t, "what is fixed", adm.IncrementalAlterConfig(sarama.BrokerResource, "1", fixed, false), sarama.ErrInvalidRequest)
	})
}

func TestGroupsAreListedDescribedAndDeleted(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm, group, name := admin(t, c), live.Name("group"), topic(t, 2)
		member, end := join(t, c, group, name)
		claimed(t, member, name, 2)
		live.Equal(t, "in the list", live.Must(adm.ListConsumerGroups())[group], "consumer")
		got := live.Must(adm.DescribeConsumerGroups([]string{group}))[0]
		live.Equal(t, "state", []any{got.State, got.ProtocolType, got.Protocol, len(got.Members)}, []any{"Stable", "consumer", "range", 1})
		for _, m := range got.Members {
			assigned := live.Must(m.GetMemberAssignment())
			wants := live.Must(m.GetMemberMetadata())
			live.Equal(t, "member", []any{m.ClientId, assigned.Topics[name], wants.Topics}, []any{"sarama-test", []int32{0, 1}, []string{name}})
		}
		refuses(t, "its deletion", adm.DeleteConsumerGroup(group), sarama.ErrNonEmptyGroup)
		refuses(t, "its offsets' deletion", adm.DeleteConsumerGroupOffset(group, name, 0), sarama.ErrGroupSubscribedToTopic)
		end()
		live.Eventually(t, "an empty group", func() bool {
			return live.Must(adm.DescribeConsumerGroups([]string{group}))[0].State == "Empty"
		})
		accepts(t, "delete", adm.DeleteConsumerGroup(group))
		refuses(t, "delete again", adm.DeleteConsumerGroup(group), sarama.ErrGroupIDNotFound)
		live.Equal(t, "no such group", live.Must(adm.DescribeConsumerGroups([]string{group}))[0].State, "Dead")
		live.Equal(t, "coordinator", live.Must(adm.Coordinator(group)).ID(), 1)
	})
}

func TestOffsetsOfGroupsAreAlteredListedAndDeleted(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm, group, name := admin(t, c), live.Name("group"), topic(t, 2)
		offsets := map[string]map[int32]sarama.OffsetAndMetadata{name: {
			0: {Offset: 4, Metadata: "why", LeaderEpoch: 0}, 1: {Offset: 5, LeaderEpoch: -1}, 9: {Offset: 1, LeaderEpoch: -1},
		}}
		altered := live.Must(adm.AlterConsumerGroupOffsets(group, offsets, nil)).Errors[name]
		live.Equal(t, "altered", []any{altered[0], altered[1], altered[9]},
			[]any{sarama.ErrNoError, sarama.ErrNoError, sarama.ErrUnknownTopicOrPartition})
		block := live.Must(adm.ListConsumerGroupOffsets(group, map[string][]int32{name: {0}})).GetBlock(name, 0)
		live.Equal(t, "listed", []any{block.Offset, block.Metadata, block.LeaderEpoch}, []any{4, "why", 0})
		all := live.Must(adm.ListConsumerGroupOffsets(group, nil))
		live.Equal(t, "all", []any{len(all.Blocks[name]), all.GetBlock(name, 1).Offset}, []any{2, 5})
		if c.Version == sarama.MaxVersion { // the default has no request for many groups
			many := live.Must(adm.ListConsumerGroupOffsetsBatch(map[string]map[string][]int32{group: nil, "no-such-group": nil}))
			live.Equal(t, "of two groups", []any{len(many[group].Blocks[name]), len(many["no-such-group"].Blocks)}, []any{2, 0})
		}
		accepts(t, "delete", adm.DeleteConsumerGroupOffset(group, name, 0))
		left := live.Must(adm.ListConsumerGroupOffsets(group, nil)).Blocks[name]
		live.Equal(t, "left", []any{len(left), left[1].Offset}, []any{1, 5})
		refuses(t, "of no group", adm.DeleteConsumerGroupOffset("no-such-group", name, 0), sarama.ErrGroupIDNotFound)
	})
}

func TestAMemberIsSentAwayByItsInstance(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		c.Consumer.Group.InstanceId = "the-instance"
		adm, group, name := admin(t, c), live.Name("group"), topic(t, 1)
		member, end := join(t, c, group, name)
		claimed(t, member, name, 1)
		end()
		left := live.Must(adm.RemoveMemberFromConsumerGroup(group, []string{"the-instance", "nobody"}))
		live.Equal(t, "codes", []any{left.Err, left.Members[0].Err, left.Members[1].Err},
			[]any{sarama.ErrNoError, sarama.ErrNoError, sarama.ErrUnknownMemberId})
		live.Equal(t, "members", len(live.Must(adm.DescribeConsumerGroups([]string{group}))[0].Members), 0)
	})
}

func TestOffsetsAreListed(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm, name := admin(t, c), topic(t, 2)
		fill(t, name, 0, 10, time.UnixMilli(1_700_000_000_000))
		for at, want := range map[int64][]any{
			sarama.OffsetOldest: {0, -1, 0}, sarama.OffsetNewest: {10, -1, 0}, 1_700_000_000_004: {4, 1_700_000_000_004, 0},
		} {
			got := live.Must(adm.ListOffsets(map[string]map[int32]int64{name: {0: at}}, nil))[name][0]
			live.Equal(t, "offset, timestamp, epoch", []any{got.Offset, got.Timestamp, got.LeaderEpoch}, want)
		}
		options := &sarama.ListOffsetsOptions{IsolationLevel: sarama.ReadCommitted}
		got := live.Must(adm.ListOffsets(map[string]map[int32]int64{name: {1: sarama.OffsetNewest}}, options))[name][1]
		live.Equal(t, "of the empty one", []any{got.Offset, got.Err}, []any{0, sarama.ErrNoError})
	})
}

func TestTheClusterIsDescribed(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		adm := admin(t, c)
		brokers, controller, err := adm.DescribeCluster()
		live.Equal(t, "cluster", []any{len(brokers), brokers[0].ID(), brokers[0].Addr(), controller, err},
			[]any{1, 1, live.Bootstrap(), 1, nil})
		live.Equal(t, "controller", live.Must(adm.Controller()).ID(), 1)
		name := topic(t, 1)
		fill(t, name, 0, 10, time.Now())
		dirs := live.Must(adm.DescribeLogDirs([]int32{1}))[1]
		live.Equal(t, "directories", []any{len(dirs), dirs[0].ErrorCode}, []any{1, sarama.ErrNoError})
		at := slices.IndexFunc(dirs[0].Topics, func(t sarama.DescribeLogDirsResponseTopic) bool { return t.Topic == name })
		live.Equal(t, "the topic's size", at >= 0 && dirs[0].Topics[at].Partitions[0].Size > 70, true)
	})
}

func TestFeaturesThatCannotBeUpdatedAreRefused(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		updates := []sarama.FeatureUpdate{{Feature: "no.such.feature", MaxVersionLevel: 1}}
		results, err := admin(t, c).UpdateFeatures(updates)
		for _, r := range results { // up to version 1 of the request
			err = r.ErrorCode
		}
		refuses(t, "an unknown feature", err, sarama.ErrInvalidUpdateVersion)
	})
}
