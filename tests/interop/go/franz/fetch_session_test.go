package franz

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

// session asks for partitions of one topic, as a consumer does in a session (KIP-227).
type session struct {
	cl    *kgo.Client
	topic [16]byte
	id    int32
	epoch int32
}

// fetch sends what is new about the session and returns the answer.
func (s *session) fetch(t *testing.T, added map[int32]int64, forgotten ...int32) *kmsg.FetchResponse {
	t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 1<<20
	req.SessionID, req.SessionEpoch = s.id, s.epoch
	if len(added) > 0 {
		topic := kmsg.NewFetchRequestTopic()
		topic.TopicID = s.topic
		for partition, offset := range added {
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 1<<20
			topic.Partitions = append(topic.Partitions, p)
		}
		req.Topics = append(req.Topics, topic)
	}
	if len(forgotten) > 0 {
		req.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{TopicID: s.topic, Partitions: forgotten}}
	}
	return ask[*kmsg.FetchResponse](t, req)
}

// open begins a session over partitions 0 to 4 of a topic, each from its start.
func open(t *testing.T, name string) (*session, *kmsg.FetchResponse) {
	t.Helper()
	s := &session{cl: client(t), topic: create(t, name, 5)}
	fill(t, name, 0, 3)
	resp := s.fetch(t, map[int32]int64{0: 0, 1: 0, 2: 0, 3: 0, 4: 0})
	s.id, s.epoch = resp.SessionID, 1
	return s, resp
}

// answered says of each partition in the answer whether it has records.
func answered(resp *kmsg.FetchResponse) map[int32]bool {
	has := make(map[int32]bool)
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			has[p.Partition] = len(p.RecordBatches) > 0
		}
	}
	return has
}

func TestAFirstFetchOpensASessionAndNamesEveryPartition(t *testing.T) {
	s, resp := open(t, live.Name("session"))
	live.Equal(t, "code", resp.ErrorCode, 0)
	if s.id <= 0 {
		t.Errorf("session id %d", s.id)
	}
	live.Equal(t, "partitions", answered(resp), map[int32]bool{0: true, 1: false, 2: false, 3: false, 4: false})
}

func TestALaterFetchOfASessionNamesOnlyWhatChanged(t *testing.T) {
	name := live.Name("session")
	s, _ := open(t, name)
	resp := s.fetch(t, map[int32]int64{0: 3})
	live.Equal(t, "code and session", []any{resp.ErrorCode, resp.SessionID}, []any{0, s.id})
	live.Equal(t, "nothing new", answered(resp), map[int32]bool{})
	fill(t, name, 2, 1)
	s.epoch++
	live.Equal(t, "a record in 2", answered(s.fetch(t, nil)), map[int32]bool{2: true})
	s.epoch++
	live.Equal(t, "it was not taken", answered(s.fetch(t, nil)), map[int32]bool{2: true})
	s.epoch++
	live.Equal(t, "now it was", answered(s.fetch(t, map[int32]int64{2: 1})), map[int32]bool{})
}

func TestASessionForgetsPartitionsAndLearnsOthers(t *testing.T) {
	name := live.Name("session")
	s, _ := open(t, name)
	live.Equal(t, "nothing new", answered(s.fetch(t, map[int32]int64{0: 3}, 1, 2)), map[int32]bool{})
	fill(t, name, 1, 1)
	fill(t, name, 3, 1)
	s.epoch++
	live.Equal(t, "1 is forgotten", answered(s.fetch(t, nil)), map[int32]bool{3: true})
	s.epoch++
	live.Equal(t, "1 is back", answered(s.fetch(t, map[int32]int64{1: 0, 3: 1})), map[int32]bool{1: true})
	s.epoch++
	both := answered(s.fetch(t, map[int32]int64{1: 1, 9: 0}))
	live.Equal(t, "a partition that is not there", both, map[int32]bool{9: false})
}

func TestASessionThatIsNotThereOrAtAnotherEpochIsRefused(t *testing.T) {
	s, _ := open(t, live.Name("session"))
	wrong := *s
	wrong.epoch = 9
	resp := wrong.fetch(t, nil)
	refuses(t, "a wrong epoch", kerr.ErrorForCode(resp.ErrorCode), kerr.InvalidFetchSessionEpoch)
	live.Equal(t, "session and topics of a refusal", []any{resp.SessionID, len(resp.Topics)}, []int{0, 0})
	wrong = *s
	wrong.id++
	refuses(t, "a wrong id", kerr.ErrorForCode(wrong.fetch(t, nil).ErrorCode), kerr.FetchSessionIDNotFound)
	live.Equal(t, "the right ones", s.fetch(t, map[int32]int64{0: 3}).ErrorCode, 0)
}

func TestASessionIsClosedByItsLastEpoch(t *testing.T) {
	s, _ := open(t, live.Name("session"))
	last := *s
	last.epoch = -1
	resp := last.fetch(t, map[int32]int64{0: 0})
	live.Equal(t, "code, session, partitions", []any{resp.ErrorCode, resp.SessionID, answered(resp)},
		[]any{0, 0, map[int32]bool{0: true}})
	refuses(t, "after the end", kerr.ErrorForCode(s.fetch(t, nil).ErrorCode), kerr.FetchSessionIDNotFound)
}

func TestASessionKeepsATopicThatIsDeleted(t *testing.T) {
	name := live.Name("session")
	s, _ := open(t, name)
	s.fetch(t, map[int32]int64{0: 3})
	live.Must(admin(t).DeleteTopic(live.Context(t), name))
	live.Eventually(t, "UNKNOWN_TOPIC_OR_PARTITION in the session", func() bool {
		s.epoch++
		resp := s.fetch(t, nil)
		live.Equal(t, "code", resp.ErrorCode, 0)
		return len(resp.Topics) > 0 && kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode) == kerr.UnknownTopicOrPartition
	})
}

func TestATopicIdThatWasNeverKnownIsToldInItsPartitions(t *testing.T) {
	s := &session{cl: client(t), topic: [16]byte{15: 1}}
	resp := s.fetch(t, map[int32]int64{0: 0})
	refuses(t, "an unknown id", kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode), kerr.UnknownTopicID)
}
