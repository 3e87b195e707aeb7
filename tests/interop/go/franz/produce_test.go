package franz

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"interop/live"
)

func TestRecordsArriveWithEveryKindOfAcknowledgement(t *testing.T) {
	for name, options := range map[string][]kgo.Opt{
		"none":       {kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite()},
		"leader":     {kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite()},
		"all":        {kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite()},
		"idempotent": {},
	} {
		t.Run(name, func(t *testing.T) {
			name := topic(t, 1)
			cl := client(t, append(options, kgo.DefaultProduceTopic(name))...)
			for _, value := range []string{"a", "b", "c"} {
				if err := cl.ProduceSync(live.Context(t), kgo.StringRecord(value)).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			live.Equal(t, "values", values(read(t, name, 3)), []string{"a", "b", "c"})
		})
	}
}

func TestAnIdempotentProducerKeepsTheOrderOfManyBatchesInFlight(t *testing.T) {
	name := topic(t, 1)
	cl := client(t, kgo.DefaultProduceTopic(name), kgo.ProducerBatchMaxBytes(512))
	var records []*kgo.Record
	for range 1000 {
		records = append(records, kgo.StringRecord("value of a record"))
	}
	for i, result := range cl.ProduceSync(live.Context(t), records...) {
		if result.Err != nil || result.Record.Offset != int64(i) {
			t.Fatalf("record %d: offset %d, error %v", i, result.Record.Offset, result.Err)
		}
	}
	id, epoch, err := cl.ProducerID(live.Context(t))
	if id < 0 || epoch != 0 || err != nil {
		t.Errorf("producer id %d, epoch %d, error %v", id, epoch, err)
	}
	for i, r := range read(t, name, 1000) {
		if r.Offset != int64(i) || r.ProducerID != id || r.ProducerEpoch != epoch {
			t.Fatalf("record %d: offset %d, producer %d, epoch %d", i, r.Offset, r.ProducerID, r.ProducerEpoch)
		}
	}
}

func TestEachCodecIsStoredAsItWasSent(t *testing.T) {
	for attribute, codec := range []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	} {
		name := topic(t, 1)
		cl := client(t, kgo.DefaultProduceTopic(name), kgo.ProducerBatchCompression(codec))
		value := strings.Repeat("compress me ", 1000)
		if err := cl.ProduceSync(live.Context(t), kgo.StringRecord(value), kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatalf("codec %d: %v", attribute, err)
		}
		got := read(t, name, 2)
		live.Equal(t, "codec", got[1].Attrs.CompressionType(), attribute)
		live.Equal(t, "value", string(got[1].Value), value)
	}
}

func TestATopicsCompressionTypeReplacesThatOfTheProducer(t *testing.T) {
	for attribute, codec := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		name := topic(t, 1, "compression.type", codec)
		cl := client(t, kgo.DefaultProduceTopic(name), kgo.ProducerBatchCompression(kgo.GzipCompression()))
		value := strings.Repeat("compress me ", 1000)
		if err := cl.ProduceSync(live.Context(t), kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatalf("codec %s: %v", codec, err)
		}
		got := read(t, name, 1)
		live.Equal(t, codec, got[0].Attrs.CompressionType(), attribute)
		live.Equal(t, "value", string(got[0].Value), value)
	}
}

func TestRecordsGoToThePartitionThatWasNamed(t *testing.T) {
	name := topic(t, 3)
	for partition := range int32(3) {
		fill(t, name, partition, int(partition)+1)
	}
	ends := live.Must(admin(t).ListEndOffsets(live.Context(t), name))
	for partition := range int32(3) {
		live.Equal(t, "end offset", ends[name][partition].Offset, partition+1)
	}
}

func TestKeysValuesAndHeadersKeepNullEmptyAndOrder(t *testing.T) {
	name := topic(t, 1)
	sent := []*kgo.Record{
		{Topic: name, Key: nil, Value: nil},
		{Topic: name, Key: []byte{}, Value: []byte{}},
		{Topic: name, Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{
			{Key: "twice", Value: []byte("1")}, {Key: "twice", Value: []byte("2")}, {Key: "", Value: nil}, {Key: "e", Value: []byte{}},
		}},
	}
	if err := client(t).ProduceSync(live.Context(t), sent...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for i, got := range read(t, name, 3) {
		same := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
		if !same(got.Key, sent[i].Key) || !same(got.Value, sent[i].Value) || len(got.Headers) != len(sent[i].Headers) {
			t.Fatalf("record %d: %#v", i, got)
		}
		for n, h := range got.Headers {
			if h.Key != sent[i].Headers[n].Key || !same(h.Value, sent[i].Headers[n].Value) {
				t.Errorf("header %d: %#v", n, h)
			}
		}
	}
}

func TestARecordOfAMegabyteArrives(t *testing.T) {
	name := topic(t, 1)
	cl := client(t, kgo.DefaultProduceTopic(name), kgo.ProducerBatchMaxBytes(1_048_588),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	big := bytes.Repeat([]byte("x"), 1_000_000)
	if err := cl.ProduceSync(live.Context(t), kgo.SliceRecord(big)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	small := client(t, kgo.ConsumeTopics(name), kgo.FetchMaxBytes(1000), kgo.FetchMaxPartitionBytes(1000),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	live.Equal(t, "bytes", len(take(t, small, 1)[0].Value), len(big))
}

func TestABatchMayBeAsLargeAsTheTopicAllowsAndNoByteMore(t *testing.T) {
	const overhead = 70 // a header of 61 bytes; nine for the record
	for size, want := range map[int]*kerr.Error{2000: nil, 2001: kerr.MessageTooLarge} {
		name := topic(t, 1, "max.message.bytes", "2000")
		cl := client(t, kgo.DefaultProduceTopic(name), kgo.ProducerBatchCompression(kgo.NoCompression()))
		err := cl.ProduceSync(live.Context(t), kgo.SliceRecord(make([]byte, size-overhead))).FirstErr()
		if want == nil && err != nil {
			t.Errorf("%d bytes: %v", size, err)
		} else if want != nil {
			refuses(t, "2001 bytes", err, want)
		}
	}
}

func TestABatchBeyondTheBrokersDefaultIsTooLarge(t *testing.T) {
	cl := client(t, kgo.DefaultProduceTopic(topic(t, 1)), kgo.ProducerBatchMaxBytes(3<<20),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	err := cl.ProduceSync(live.Context(t), kgo.SliceRecord(make([]byte, 2<<20))).FirstErr()
	refuses(t, "two megabytes", err, kerr.MessageTooLarge)
}

func TestTimestampsAreTheProducersUnlessTheTopicStampsThem(t *testing.T) {
	past := time.UnixMilli(1_600_000_000_123)
	kept, stamped := topic(t, 1), topic(t, 1, "message.timestamp.type", "LogAppendTime")
	fill(t, kept, 0, 1, past)
	fill(t, stamped, 0, 1, past)
	one, other := read(t, kept, 1)[0], read(t, stamped, 1)[0]
	live.Equal(t, "timestamp", one.Timestamp.UnixMilli(), past.UnixMilli())
	live.Equal(t, "type", one.Attrs.TimestampType(), 0)
	if time.Since(other.Timestamp).Abs() > time.Minute || other.Attrs.TimestampType() != 1 {
		t.Errorf("stamped %v, type %d", other.Timestamp, other.Attrs.TimestampType())
	}
}

func TestWhatABrokerMayNotStoreIsRefusedWithItsReason(t *testing.T) {
	ctx := live.Context(t)
	cl := client(t, kgo.UnknownTopicRetries(0))
	send := func(r *kgo.Record) error { return cl.ProduceSync(ctx, r).FirstErr() }
	tomorrow := time.Now().Add(24 * time.Hour)
	refuses(t, "a timestamp of tomorrow", send(&kgo.Record{Topic: topic(t, 1), Timestamp: tomorrow}), kerr.InvalidTimestamp)
	compacted := topic(t, 1, "cleanup.policy", "compact")
	refuses(t, "no key in a compacted topic", send(&kgo.Record{Topic: compacted}), kerr.InvalidRecord)
	refuses(t, "an unknown topic", send(&kgo.Record{Topic: live.Name("none")}), kerr.UnknownTopicOrPartition)
	refuses(t, "a name with a space", send(&kgo.Record{Topic: "a b"}), kerr.InvalidTopicException)
}

func TestMinInsyncReplicasBeyondTheReplicasThereAreCountAsThose(t *testing.T) {
	careful := topic(t, 1, "min.insync.replicas", "2")
	err := client(t, kgo.RecordRetries(0)).ProduceSync(live.Context(t), &kgo.Record{Topic: careful}).FirstErr()
	live.Equal(t, "error", err, nil)
}

func TestATopicIsMadeOnFirstUseWhenTheClientAllowsIt(t *testing.T) {
	name := live.Name("made")
	cl := client(t, kgo.AllowAutoTopicCreation())
	if err := cl.ProduceSync(live.Context(t), &kgo.Record{Topic: name, Value: []byte("first")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	live.Equal(t, "values", values(read(t, name, 1)), []string{"first"})
}
