package franz

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

// membership is one member of a group, request by request.
type membership struct {
	t            *testing.T
	group, topic string
	id           string
	generation   int32
}

// metadata is what a consumer says of itself: Kafka's coordinator reads it, whatever the protocol says.
func (m *membership) metadata() []byte {
	metadata := kmsg.NewConsumerMemberMetadata()
	metadata.Topics = []string{m.topic}
	return metadata.AppendTo(nil)
}

func (m *membership) join(protocol string) *kmsg.JoinGroupResponse {
	m.t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.ProtocolType = m.group, m.id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 20_000, 5_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: protocol, Metadata: m.metadata()}}
	return ask[*kmsg.JoinGroupResponse](m.t, req)
}

func (m *membership) sync() *kmsg.SyncGroupResponse {
	m.t.Helper()
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	req.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: m.id, MemberAssignment: []byte("assignment")}}
	return ask[*kmsg.SyncGroupResponse](m.t, req)
}

func (m *membership) beat() error {
	m.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	return kerr.ErrorForCode(ask[*kmsg.HeartbeatResponse](m.t, req).ErrorCode)
}

func (m *membership) commit() error {
	m.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	rt, rp := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	rp.Offset = 7
	rt.Topic, rt.TopicID = m.topic, live.Must(admin(m.t).ListTopics(live.Context(m.t), m.topic))[m.topic].ID
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return kerr.ErrorForCode(ask[*kmsg.OffsetCommitResponse](m.t, req).Topics[0].Partitions[0].ErrorCode)
}

func (m *membership) fetch() error {
	m.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group, group.MemberID, group.MemberEpoch = m.group, &m.id, m.generation
	req.Groups = append(req.Groups, group)
	return kerr.ErrorForCode(ask[*kmsg.OffsetFetchResponse](m.t, req).Groups[0].ErrorCode)
}

func (m *membership) leave() error {
	m.t.Helper()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = m.group
	req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.id}}
	resp := ask[*kmsg.LeaveGroupResponse](m.t, req)
	live.Equal(m.t, "leave", resp.ErrorCode, 0)
	return kerr.ErrorForCode(resp.Members[0].ErrorCode)
}

// alone returns the only member of a new group.
func alone(t *testing.T) *membership {
	t.Helper()
	m := &membership{t: t, group: live.Name("group"), topic: topic(t, 1), generation: -1}
	asked := m.join("range")
	refuses(t, "a member without an id", kerr.ErrorForCode(asked.ErrorCode), kerr.MemberIDRequired)
	m.id = asked.MemberID
	joined := m.join("range")
	live.Equal(t, "join", []any{joined.ErrorCode, joined.Generation, joined.LeaderID, *joined.Protocol, *joined.ProtocolType},
		[]any{0, 1, m.id, "range", "consumer"})
	live.Equal(t, "members", []any{len(joined.Members), joined.Members[0].MemberID, joined.Members[0].ProtocolMetadata},
		[]any{1, m.id, m.metadata()})
	m.generation = 1
	synced := m.sync()
	live.Equal(t, "sync", []any{synced.ErrorCode, string(synced.MemberAssignment), *synced.Protocol}, []any{0, "assignment", "range"})
	return m
}

func TestAMemberJoinsSyncsBeatsCommitsAndLeaves(t *testing.T) {
	m := alone(t)
	live.Equal(t, "heartbeat, commit, fetch", []any{m.beat(), m.commit(), m.fetch()}, []any{nil, nil, nil})
	live.Equal(t, "sync again", m.sync().ErrorCode, 0)
	live.Equal(t, "leave", m.leave(), nil)
	refuses(t, "leave again", m.leave(), kerr.UnknownMemberID)
	refuses(t, "heartbeat after it left", m.beat(), kerr.UnknownMemberID)
}

func TestAnotherGenerationIsRefused(t *testing.T) {
	m := alone(t)
	m.generation = 9
	refuses(t, "heartbeat", m.beat(), kerr.IllegalGeneration)
	refuses(t, "commit", m.commit(), kerr.IllegalGeneration)
	refuses(t, "sync", kerr.ErrorForCode(m.sync().ErrorCode), kerr.IllegalGeneration)
	live.Equal(t, "offsets, which anyone may fetch", m.fetch(), nil)
}

func TestAnUnknownMemberIsRefused(t *testing.T) {
	m := alone(t)
	m.id = "nobody"
	refuses(t, "heartbeat", m.beat(), kerr.UnknownMemberID)
	refuses(t, "commit", m.commit(), kerr.UnknownMemberID)
	refuses(t, "sync", kerr.ErrorForCode(m.sync().ErrorCode), kerr.UnknownMemberID)
	refuses(t, "join", kerr.ErrorForCode(m.join("range").ErrorCode), kerr.UnknownMemberID)
	refuses(t, "leave", m.leave(), kerr.UnknownMemberID)
	live.Equal(t, "offsets, which anyone may fetch", m.fetch(), nil)
}

func TestAMemberOfAnotherKindIsRefused(t *testing.T) {
	m := alone(t)
	other := &membership{t: t, group: m.group, topic: m.topic}
	refuses(t, "another protocol", kerr.ErrorForCode(other.join("strange").ErrorCode), kerr.InconsistentGroupProtocol)
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	req.ProtocolType, req.Protocol = kmsg.StringPtr("connect"), kmsg.StringPtr("range")
	refuses(t, "another type", kerr.ErrorForCode(ask[*kmsg.SyncGroupResponse](t, req).ErrorCode), kerr.InconsistentGroupProtocol)
}

func TestASecondMemberMakesTheFirstJoinAgain(t *testing.T) {
	m := alone(t)
	second := make(chan *member, 1)
	name := m.topic
	go func() { second <- join(t, m.group, name, kgo.Balancers(kgo.RangeBalancer())) }()
	live.Eventually(t, "REBALANCE_IN_PROGRESS", func() bool { return m.beat() == kerr.RebalanceInProgress })
	live.Equal(t, "a commit meanwhile", m.commit(), nil)
	live.Equal(t, "leave", m.leave(), nil)
	shared(t, []int{1}, <-second)
}
