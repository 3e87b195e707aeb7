package franz

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

// commit commits an offset from outside of the group.
func commit(t *testing.T, group, topic string, partition int32, at int64, metadata string) error {
	t.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: topic, Partition: partition, At: at, LeaderEpoch: 0, Metadata: metadata})
	committed, err := admin(t).CommitOffsets(live.Context(t), group, offsets)
	if err != nil {
		return err
	}
	return committed[topic][partition].Err
}

func TestOffsetsAreCommittedAndFetchedFromOutside(t *testing.T) {
	ctx, adm, group, name := live.Context(t), admin(t), live.Name("group"), topic(t, 3)
	live.Equal(t, "commit", commit(t, group, name, 0, 7, "why"), nil)
	live.Equal(t, "commit", commit(t, group, name, 2, 9, ""), nil)
	fetched := live.Must(adm.FetchOffsets(ctx, group))[name]
	live.Equal(t, "partitions", len(fetched), 2)
	got := fetched[0]
	live.Equal(t, "offset, epoch, metadata", []any{got.At, got.LeaderEpoch, got.Metadata}, []any{7, 0, "why"})
	asked := live.Must(adm.FetchOffsetsForTopics(ctx, group, name))[name]
	live.Equal(t, "with what has no offset", []any{asked[1].At, asked[1].LeaderEpoch, asked[2].At}, []any{-1, -1, 9})
	other := live.Name("group")
	many := adm.FetchManyOffsets(ctx, group, other)
	live.Equal(t, "of two groups", []any{len(many[group].Fetched[name]), len(many[other].Fetched), many[other].Err}, []any{2, 0, nil})
}

func TestOffsetsAreCommittedAndFetchedByTheIdOfTheTopic(t *testing.T) {
	ctx, adm, group, name := live.Context(t), admin(t), live.Name("group"), live.Name("topic")
	id := create(t, name, 1)
	offsets := kadm.OffsetsByID{id: {0: {TopicID: id, At: 4, LeaderEpoch: -1}}}
	live.Equal(t, "commit", live.Must(adm.CommitOffsetsByID(ctx, group, offsets))[id][0].Err, nil)
	live.Equal(t, "fetch", live.Must(adm.FetchOffsetsByID(ctx, group))[id][0].At, 4)
	unknown := kadm.TopicID{15: 1}
	offsets = kadm.OffsetsByID{unknown: {0: {TopicID: unknown, At: 4, LeaderEpoch: -1}}}
	refuses(t, "an unknown id", live.Must(adm.CommitOffsetsByID(ctx, group, offsets))[unknown][0].Err, kerr.UnknownTopicID)
}

func TestCommitsThatCannotBeKeptAreRefused(t *testing.T) {
	group, name := live.Name("group"), topic(t, 1)
	refuses(t, "an unknown topic", commit(t, group, live.Name("none"), 0, 1, ""), kerr.UnknownTopicOrPartition)
	refuses(t, "an unknown partition", commit(t, group, name, 5, 1, ""), kerr.UnknownTopicOrPartition)
	refuses(t, "too many words", commit(t, group, name, 0, 1, strings.Repeat("x", 4097)), kerr.OffsetMetadataTooLarge)
	live.Equal(t, "as many as there may be", commit(t, group, name, 0, 1, strings.Repeat("x", 4096)), nil)
}

func TestGroupsAreListedByStateAndByType(t *testing.T) {
	ctx, adm, group, name := live.Context(t), admin(t), live.Name("group"), topic(t, 1)
	commit(t, group, name, 0, 1, "")
	busy := live.Name("group")
	shared(t, []int{1}, join(t, busy, name))
	listed := live.Must(adm.ListGroups(ctx))
	live.Equal(t, "empty group", []any{listed[group].State, listed[group].ProtocolType}, []any{"Empty", ""})
	live.Equal(t, "group with a member", []any{listed[busy].State, listed[busy].ProtocolType}, []any{"Stable", "consumer"})
	has := func(groups kadm.ListedGroups) []bool {
		return []bool{slices.Contains(groups.Groups(), group), slices.Contains(groups.Groups(), busy)}
	}
	live.Equal(t, "empty", has(live.Must(adm.ListGroups(ctx, "Empty"))), []bool{true, false})
	live.Equal(t, "stable", has(live.Must(adm.ListGroups(ctx, "stable"))), []bool{false, true})
	live.Equal(t, "classic", has(live.Must(adm.ListGroupsByType(ctx, []string{"classic"}))), []bool{true, true})
	live.Equal(t, "consumer", has(live.Must(adm.ListGroupsByType(ctx, []string{"consumer"}))), []bool{false, false})
}

func TestGroupsAreDescribedWithTheirMembers(t *testing.T) {
	ctx, adm, group, name := live.Context(t), admin(t), live.Name("group"), topic(t, 2)
	one := join(t, group, name, kgo.ClientID("the client"), kgo.InstanceID("the instance"),
		kgo.Balancers(kgo.RangeBalancer()))
	shared(t, []int{2}, one)
	live.Eventually(t, "a stable group", func() bool { return live.Must(adm.DescribeGroups(ctx, group))[group].State == "Stable" })
	got := live.Must(adm.DescribeGroups(ctx, group))[group]
	live.Equal(t, "protocol", []any{got.ProtocolType, got.Protocol, got.Coordinator.NodeID}, []any{"consumer", "range", 1})
	id, _ := one.GroupMetadata()
	m := got.Members[0]
	live.Equal(t, "member", []any{m.MemberID, *m.InstanceID, m.ClientID, m.ClientHost},
		[]any{id, "the instance", "the client", "/127.0.0.1"})
	live.Equal(t, "topics it wants", got.JoinTopics(), []string{name})
	live.Equal(t, "partitions it has", got.AssignedPartitions().Sorted(), []kadm.TopicPartitions{{Topic: name, Partitions: []int32{0, 1}}})
	unknown := live.Must(adm.DescribeGroups(ctx, "no-such-group"))["no-such-group"]
	live.Equal(t, "unknown group", []any{unknown.State, unknown.Err}, []any{"Dead", kerr.GroupIDNotFound})
}

func TestTheLagOfAGroupIsWhatItHasYetToRead(t *testing.T) {
	ctx, adm, group, name := live.Context(t), admin(t), live.Name("group"), topic(t, 2)
	fill(t, name, 0, 10)
	fill(t, name, 1, 5)
	commit(t, group, name, 0, 4, "")
	commit(t, group, name, 1, 5, "")
	lag := live.Must(adm.Lag(ctx, group))[group]
	live.Equal(t, "error", lag.Error(), nil)
	live.Equal(t, "lags", []any{lag.Lag[name][0].Lag, lag.Lag[name][1].Lag, lag.Lag.Total()}, []any{6, 0, 6})
}

func TestOffsetsOfAGroupAreDeleted(t *testing.T) {
	ctx, adm, group, name := live.Context(t), admin(t), live.Name("group"), topic(t, 2)
	commit(t, group, name, 0, 4, "")
	commit(t, group, name, 1, 5, "")
	deleted := live.Must(adm.DeleteOffsets(ctx, group, kadm.TopicsSet{name: {0: {}}}))
	live.Equal(t, "deleted", deleted[name][0], nil)
	left := live.Must(adm.FetchOffsets(ctx, group))[name]
	live.Equal(t, "what is left", []any{len(left), left[1].At}, []any{1, 5})
	again := live.Must(adm.DeleteOffsets(ctx, group, kadm.TopicsSet{name: {0: {}}}))
	live.Equal(t, "again", again[name][0], nil)
	none := live.Must(adm.DeleteOffsets(ctx, group, kadm.TopicsSet{"no-such-topic": {0: {}}}))
	live.Equal(t, "of an unknown topic", none["no-such-topic"][0], kerr.UnknownTopicOrPartition)
	_, err := adm.DeleteOffsets(ctx, "no-such-group", kadm.TopicsSet{name: {0: {}}})
	refuses(t, "of an unknown group", err, kerr.GroupIDNotFound)
}

func TestGroupsAreDeleted(t *testing.T) {
	ctx, adm, group, name := live.Context(t), admin(t), live.Name("group"), topic(t, 1)
	commit(t, group, name, 0, 4, "")
	deleted := live.Must(adm.DeleteGroups(ctx, group, "no-such-group"))
	live.Equal(t, "deleted", deleted[group].Err, nil)
	refuses(t, "an unknown group", deleted["no-such-group"].Err, kerr.GroupIDNotFound)
	live.Equal(t, "offsets", len(live.Must(adm.FetchOffsets(ctx, group))), 0)
	live.Equal(t, "in the list", slices.Contains(live.Must(adm.ListGroups(ctx)).Groups(), group), false)
}

func TestAMemberIsSentAwayByItsInstance(t *testing.T) {
	ctx, adm, group, name := live.Context(t), admin(t), live.Name("group"), topic(t, 2)
	one := join(t, group, name, kgo.InstanceID("stays"), kgo.SessionTimeout(30*time.Second))
	two := join(t, group, name, kgo.InstanceID("goes"), kgo.SessionTimeout(30*time.Second))
	shared(t, []int{1, 1}, one, two)
	two.end()
	left := live.Must(adm.LeaveGroup(ctx, kadm.LeaveGroup(group).InstanceIDs("goes", "nobody").Reason("test")))
	live.Equal(t, "left", left["goes"].Err, nil)
	refuses(t, "an unknown instance", left["nobody"].Err, kerr.UnknownMemberID)
	shared(t, []int{2}, one)
}

func TestTheCoordinatorOfAGroupIsFound(t *testing.T) {
	found := admin(t).FindGroupCoordinators(live.Context(t), "one", "two")
	for _, group := range []string{"one", "two"} {
		live.Equal(t, group, []any{found[group].NodeID, found[group].Err}, []any{1, nil})
	}
}

func TestMembershipsThatCannotBeAreRefused(t *testing.T) {
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKeys = []string{""}
	code := ask[*kmsg.FindCoordinatorResponse](t, find).Coordinators[0].ErrorCode
	live.Equal(t, "coordinator", kerr.ErrorForCode(code), nil)
	join := kmsg.NewPtrJoinGroupRequest()
	join.SessionTimeoutMillis, join.ProtocolType = 10_000, "consumer"
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	code = ask[*kmsg.JoinGroupResponse](t, join).ErrorCode
	refuses(t, "join", kerr.ErrorForCode(code), kerr.InvalidGroupID)
	join.Group, join.SessionTimeoutMillis = live.Name("group"), 10
	code = ask[*kmsg.JoinGroupResponse](t, join).ErrorCode
	refuses(t, "a session of 10 ms", kerr.ErrorForCode(code), kerr.InvalidSessionTimeout)
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.Group, beat.MemberID = live.Name("group"), "nobody"
	code = ask[*kmsg.HeartbeatResponse](t, beat).ErrorCode
	refuses(t, "a heartbeat of nobody", kerr.ErrorForCode(code), kerr.UnknownMemberID)
}
