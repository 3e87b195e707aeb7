package franz

import (
	"net"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

func TestTheClusterIsOneBrokerThatIsAlsoTheController(t *testing.T) {
	ctx, adm := live.Context(t), admin(t)
	m := live.Must(adm.BrokerMetadata(ctx))
	live.Equal(t, "controller, brokers", []any{m.Controller, m.Brokers.NodeIDs()}, []any{1, []int32{1}})
	brokers := live.Must(adm.ListBrokers(ctx))
	address := net.JoinHostPort(brokers[0].Host, strconv.Itoa(int(brokers[0].Port)))
	live.Equal(t, "address, rack", []any{address, brokers[0].Rack}, []any{live.Bootstrap(), nil})

	req := kmsg.NewPtrDescribeClusterRequest()
	resp := live.Must(req.RequestWith(ctx, client(t)))
	live.Equal(t, "cluster id", resp.ClusterID, m.Cluster)
	b := resp.Brokers[0]
	live.Equal(t, "broker", []any{b.NodeID, b.Host, b.Port, b.IsFenced}, []any{1, brokers[0].Host, brokers[0].Port, false})
	live.Equal(t, "code, controller, endpoint", []any{resp.ErrorCode, resp.ControllerID, resp.EndpointType}, []any{0, 1, 1})
	live.Equal(t, "operations that nobody asked for", resp.ClusterAuthorizedOperations, -2147483648)
}

func TestOnlyControllersDescribeControllers(t *testing.T) {
	for kind, want := range map[int8]*kerr.Error{2: kerr.MismatchedEndpointType, 3: kerr.UnsupportedEndpointType} {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.EndpointType = kind
		resp := ask[*kmsg.DescribeClusterResponse](t, req)
		refuses(t, "endpoint type "+strconv.Itoa(int(kind)), kerr.ErrorForCode(resp.ErrorCode), want)
	}
}

// The versions are those of Kafka 4.3 for what every client needs.
func TestTheVersionsOfTheApisAreTold(t *testing.T) {
	versions := live.Must(admin(t).ApiVersions(live.Context(t)))[1]
	live.Equal(t, "error", versions.Err, nil)
	for key, want := range map[kmsg.Key][2]int16{
		kmsg.Produce: {0, 13}, kmsg.Fetch: {4, 18}, kmsg.ListOffsets: {1, 11}, kmsg.Metadata: {0, 13},
		kmsg.OffsetCommit: {2, 10}, kmsg.OffsetFetch: {1, 10}, kmsg.FindCoordinator: {0, 6}, kmsg.JoinGroup: {0, 9},
		kmsg.Heartbeat: {0, 4}, kmsg.LeaveGroup: {0, 5}, kmsg.SyncGroup: {0, 5}, kmsg.DescribeGroups: {0, 6},
		kmsg.ListGroups: {0, 5}, kmsg.ApiVersions: {0, 4}, kmsg.CreateTopics: {2, 7}, kmsg.DeleteTopics: {1, 6},
		kmsg.DeleteRecords: {0, 2}, kmsg.InitProducerID: {0, 5}, kmsg.OffsetForLeaderEpoch: {2, 4},
		kmsg.DescribeConfigs: {1, 4}, kmsg.AlterConfigs: {0, 2}, kmsg.AlterReplicaLogDirs: {1, 2},
		kmsg.DescribeLogDirs: {1, 5}, kmsg.CreatePartitions: {0, 3}, kmsg.DeleteGroups: {0, 2},
		kmsg.ElectLeaders: {0, 2}, kmsg.IncrementalAlterConfigs: {0, 1}, kmsg.AlterPartitionAssignments: {0, 1},
		kmsg.ListPartitionReassignments: {0, 0}, kmsg.OffsetDelete: {0, 0}, kmsg.DescribeQuorum: {0, 2},
		kmsg.UpdateFeatures: {0, 2}, kmsg.DescribeCluster: {0, 2}, kmsg.DescribeProducers: {0, 0},
		kmsg.ListConfigResources: {0, 1}, kmsg.DescribeTopicPartitions: {0, 0},
	} {
		low, high, exists := versions.KeyVersions(int16(key))
		if !exists || low != want[0] || high != want[1] {
			t.Errorf("%s: got %d-%d (%v), want %v", key.Name(), low, high, exists, want)
		}
	}
}

func TestFeaturesAreTold(t *testing.T) {
	raw := func() *kmsg.ApiVersionsResponse {
		v := live.Must(admin(t).ApiVersions(live.Context(t)))[1]
		return v.Raw()
	}()
	finalized := make(map[string]int16)
	for _, f := range raw.FinalizedFeatures {
		finalized[f.Name] = f.MaxVersionLevel
	}
	if finalized["metadata.version"] < 25 {
		t.Errorf("finalized features: %v", finalized)
	}
	supported := make(map[string]int16)
	for _, f := range raw.SupportedFeatures {
		supported[f.Name] = f.MaxVersion
	}
	if supported["metadata.version"] < finalized["metadata.version"] {
		t.Errorf("supported features: %v", supported)
	}
	if raw.FinalizedFeaturesEpoch < 0 {
		t.Errorf("epoch %d", raw.FinalizedFeaturesEpoch)
	}
}

func TestFeaturesThatCannotBeUpdatedAreRefused(t *testing.T) {
	ctx, adm := live.Context(t), admin(t)
	update := func(name string, level int16, kind int8) error {
		return live.Must(adm.UpdateFeatures(ctx, true, kadm.FeatureUpdate{Feature: name, MaxVersionLevel: level, UpgradeType: kind}))[name].Err
	}
	refuses(t, "an unknown feature", update("no.such.feature", 1, 1), kerr.InvalidUpdateVersion)
	refuses(t, "a level too high", update("metadata.version", 30_000, 1), kerr.InvalidUpdateVersion)
	refuses(t, "a level too low", update("metadata.version", 1, 3), kerr.InvalidUpdateVersion)
	refuses(t, "no name", update("", 1, 1), kerr.InvalidUpdateVersion)
}

// DescribeQuorum (KIP-595) has no call in kadm.
func TestTheQuorumIsOneVoter(t *testing.T) {
	ctx, cl := live.Context(t), client(t)
	ask := func(topic string) *kmsg.DescribeQuorumResponse {
		req := kmsg.NewPtrDescribeQuorumRequest()
		req.Topics = []kmsg.DescribeQuorumRequestTopic{{
			Topic: topic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: 0}},
		}}
		return live.Must(req.RequestWith(ctx, cl))
	}
	resp := ask("__cluster_metadata")
	p := resp.Topics[0].Partitions[0]
	live.Equal(t, "code, leader, voters, observers",
		[]any{p.ErrorCode, p.LeaderID, len(p.CurrentVoters), len(p.Observers)}, []any{0, 1, 1, 0})
	live.Equal(t, "voter", p.CurrentVoters[0].ReplicaID, 1)
	if p.HighWatermark <= 0 || p.LeaderEpoch < 1 || p.CurrentVoters[0].LogEndOffset < p.HighWatermark {
		t.Errorf("high watermark %d, epoch %d, voter %v", p.HighWatermark, p.LeaderEpoch, p.CurrentVoters[0])
	}
	live.Equal(t, "nodes", []any{len(resp.Nodes), resp.Nodes[0].NodeID}, []int{1, 1})
	other := ask("other")
	refuses(t, "another topic", kerr.ErrorForCode(other.Topics[0].Partitions[0].ErrorCode), kerr.UnknownTopicOrPartition)
}

func TestLogDirsAreDescribed(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 2)
	fill(t, name, 0, 10)
	for what, asked := range map[string]kadm.TopicsSet{"all": nil, "one": {name: {0: {}, 1: {}}}} {
		all := live.Must(adm.DescribeAllLogDirs(ctx, asked))
		live.Equal(t, "brokers, directories, error", []any{len(all), len(all[1]), all[1].Error()}, []any{1, 1, nil})
		full, _ := all[1].LookupPartition(name, 0)
		empty, found := all[1].LookupPartition(name, 1)
		live.Equal(t, what+": an empty partition", []any{found, empty.Size, empty.OffsetLag, empty.IsFuture}, []any{true, 0, 0, false})
		if full.Size < 70 {
			t.Errorf("%s: a full partition has %d bytes", what, full.Size)
		}
	}
	none := live.Must(adm.DescribeBrokerLogDirs(ctx, 1, kadm.TopicsSet{"no-such-topic": {0: {}}}))
	live.Equal(t, "directories and partitions of none", []any{len(none), none.Size(), none.Error()}, []any{1, 0, nil})

	req := kmsg.NewPtrDescribeLogDirsRequest()
	dir := ask[*kmsg.DescribeLogDirsResponse](t, req).Dirs[0]
	if dir.TotalBytes <= 0 || dir.UsableBytes <= 0 || dir.UsableBytes > dir.TotalBytes || dir.Dir == "" {
		t.Errorf("directory %q: %d of %d bytes are free", dir.Dir, dir.UsableBytes, dir.TotalBytes)
	}
}

func TestAReplicaMovesOnlyToADirectoryThereIs(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	var here string
	for dir := range live.Must(adm.DescribeBrokerLogDirs(ctx, 1, nil)) {
		here = dir
	}
	move := func(dir, topic string, partition int32) error {
		req := kadm.AlterReplicaLogDirsReq{dir: {topic: {partition: {}}}}
		return live.Must(adm.AlterBrokerReplicaLogDirs(ctx, 1, req))[topic][partition].Err
	}
	live.Equal(t, "to where it is", move(here, name, 0), nil)
	everywhere := live.Must(adm.AlterAllReplicaLogDirs(ctx, kadm.AlterReplicaLogDirsReq{here: {name: {0: {}}}}))
	live.Equal(t, "on every broker", []any{len(everywhere), everywhere[1][name][0].Err}, []any{1, nil})
	refuses(t, "to nowhere", move("/no/such/directory", name, 0), kerr.LogDirNotFound)
	refuses(t, "of an unknown partition", move(here, name, 9), kerr.UnknownTopicOrPartition)
	refuses(t, "of an unknown topic", move(here, "no-such-topic", 0), kerr.UnknownTopicOrPartition)
}

func TestAnElectionHasNothingToChangeHere(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 2)
	for _, how := range []kadm.ElectLeadersHow{kadm.ElectPreferredReplica, kadm.ElectLiveReplica} {
		elected := live.Must(adm.ElectLeaders(ctx, how, kadm.TopicsSet{name: {0: {}, 5: {}}, "no-such-topic": {0: {}}}))
		refuses(t, "a leader there is", elected[name][0].Err, kerr.ElectionNotNeeded)
		refuses(t, "an unknown partition", elected[name][5].Err, kerr.UnknownTopicOrPartition)
		refuses(t, "an unknown topic", elected["no-such-topic"][0].Err, kerr.UnknownTopicOrPartition)
	}
	req := kmsg.NewPtrElectLeadersRequest()
	req.Topics = nil
	resp := live.Must(req.RequestWith(ctx, client(t)))
	live.Equal(t, "code of an election of all", resp.ErrorCode, 0)
	for _, rt := range resp.Topics {
		live.Equal(t, "what changed in "+rt.Topic, len(rt.Partitions), 0)
	}
}

func TestReplicasAreReassignedToThisBrokerOnly(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	assign := func(topic string, partition int32, brokers ...int32) error {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign(topic, partition, brokers)
		return live.Must(adm.AlterPartitionAssignments(ctx, req))[topic][partition].Err
	}
	live.Equal(t, "to where it is", assign(name, 0, 1), nil)
	live.Equal(t, "without a change of their number", func() error {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign(name, 0, []int32{1})
		return live.Must(adm.AlterPartitionAssignments(kadm.ForbidAlterRf(ctx), req))[name][0].Err
	}(), nil)
	refuses(t, "to an unknown broker", assign(name, 0, 99), kerr.InvalidReplicaAssignment)
	refuses(t, "to a broker twice", assign(name, 0, 1, 1), kerr.InvalidReplicaAssignment)
	refuses(t, "to no broker", assign(name, 0, []int32{}...), kerr.InvalidReplicaAssignment)
	refuses(t, "of an unknown partition", assign(name, 9, 1), kerr.UnknownTopicOrPartition)
	refuses(t, "of an unknown topic", assign("no-such-topic", 0, 1), kerr.UnknownTopicOrPartition)

	var cancel kadm.AlterPartitionAssignmentsReq
	cancel.CancelAssign(name, 0)
	refuses(t, "a cancel", live.Must(adm.AlterPartitionAssignments(ctx, cancel))[name][0].Err, kerr.NoReassignmentInProgress)
	listed := live.Must(adm.ListPartitionReassignments(ctx, kadm.TopicsSet{name: {0: {}}}))
	live.Equal(t, "reassignments", len(listed), 0)
	all := live.Must(kmsg.NewPtrListPartitionReassignmentsRequest().RequestWith(ctx, client(t)))
	live.Equal(t, "code and topics of all", []any{all.ErrorCode, len(all.Topics)}, []int{0, 0})
}
