package franz

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

// sequence is a batch of one record by an idempotent producer.
type sequence struct {
	id       int64
	epoch    int16
	sequence int32
}

// encoded returns the batch as bytes, with its length and checksum.
func (s sequence) encoded() []byte {
	record := kmsg.Record{Length: 7, Value: []byte("v")}
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, NumRecords: 1, Records: record.AppendTo(nil),
		ProducerID: s.id, ProducerEpoch: s.epoch, FirstSequence: s.sequence,
	}
	raw := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// place is where a test produces to.
type place struct {
	t  *testing.T
	id [16]byte
}

// send produces the bytes and returns the base offset and the error.
func (p place) send(raw []byte) (int64, error) {
	p.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	req.Topics = []kmsg.ProduceRequestTopic{{
		TopicID: p.id, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: raw}},
	}}
	resp := ask[*kmsg.ProduceResponse](p.t, req)
	got := resp.Topics[0].Partitions[0]
	return got.BaseOffset, kerr.ErrorForCode(got.ErrorCode)
}

func producerId(t *testing.T) int64 {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionTimeoutMillis = 10_000
	resp := live.Must(req.RequestWith(live.Context(t), client(t)))
	live.Equal(t, "code and epoch", []any{resp.ErrorCode, resp.ProducerEpoch}, []int{0, 0})
	return resp.ProducerID
}

func TestProducerIdsAreGivenOnce(t *testing.T) {
	if one, two := producerId(t), producerId(t); one < 0 || two <= one {
		t.Errorf("%d, then %d", one, two)
	}
}

func TestABatchThatComesAgainIsStoredOnce(t *testing.T) {
	to, id := place{t, create(t, live.Name("topic"), 1)}, producerId(t)
	for number := range int32(7) {
		base, err := to.send(sequence{id, 0, number}.encoded())
		live.Equal(t, "offset and error", []any{base, err}, []any{number, nil})
	}
	for number := int32(2); number < 7; number++ {
		base, err := to.send(sequence{id, 0, number}.encoded())
		live.Equal(t, "one of the last five again", []any{base, err}, []any{number, nil})
	}
	_, err := to.send(sequence{id, 0, 1}.encoded())
	refuses(t, "one before them", err, kerr.OutOfOrderSequenceNumber)
}

func TestAGapInTheSequenceIsRefused(t *testing.T) {
	to, id := place{t, create(t, live.Name("topic"), 1)}, producerId(t)
	live.Must(to.send(sequence{id, 0, 0}.encoded()))
	base, err := to.send(sequence{id, 0, 2}.encoded())
	refuses(t, "a gap", err, kerr.OutOfOrderSequenceNumber)
	live.Equal(t, "offset of a refusal", base, -1)
	base, err = to.send(sequence{id, 0, 1}.encoded())
	live.Equal(t, "the right one", []any{base, err}, []any{1, nil})
}

func TestAnEpochStartsItsSequenceAtZeroAndFencesTheOneBefore(t *testing.T) {
	to, id := place{t, create(t, live.Name("topic"), 1)}, producerId(t)
	live.Must(to.send(sequence{id, 0, 0}.encoded()))
	_, err := to.send(sequence{id, 1, 1}.encoded())
	refuses(t, "a new epoch that goes on", err, kerr.OutOfOrderSequenceNumber)
	live.Must(to.send(sequence{id, 1, 0}.encoded()))
	_, err = to.send(sequence{id, 0, 1}.encoded())
	refuses(t, "the epoch before", err, kerr.InvalidProducerEpoch)
}

func TestBatchesThatAreNotWholeAreRefused(t *testing.T) {
	to := place{t, create(t, live.Name("topic"), 1)}
	whole := sequence{-1, -1, -1}.encoded()
	base, err := to.send(whole)
	live.Equal(t, "a whole one", []any{base, err}, []any{0, nil})
	changed := append([]byte(nil), whole...)
	changed[len(changed)-2] ^= 1
	_, err = to.send(changed)
	refuses(t, "a changed byte", err, kerr.CorruptMessage)
	_, err = to.send(append(append([]byte(nil), whole...), whole...))
	refuses(t, "two batches in one", err, kerr.InvalidRecord)
	old := append([]byte(nil), whole...)
	old[16] = 1
	_, err = to.send(old)
	refuses(t, "an old magic", err, kerr.InvalidRecord)
	_, err = place{t, [16]byte{15: 1}}.send(whole)
	refuses(t, "an unknown id", err, kerr.UnknownTopicID)
}
