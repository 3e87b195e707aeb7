// Package franz runs franz-go (kgo, kadm, kmsg) against a broker.
package franz

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

// client returns a client that is closed with the test.
func client(t *testing.T, options ...kgo.Opt) *kgo.Client {
	cl := live.Must(kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(live.Bootstrap())}, options...)...))
	t.Cleanup(cl.CloseAllowingRebalance)
	return cl
}

func admin(t *testing.T) *kadm.Client {
	return kadm.NewClient(client(t))
}

// ask sends a request of kmsg, at the newest version that the broker has, and returns the answer.
func ask[R kmsg.Response](t *testing.T, request kmsg.Request) R {
	t.Helper()
	return live.Must(client(t).Broker(1).Request(live.Context(t), request)).(R)
}

// topic makes a topic and returns its name; settings are pairs of name and value.
func topic(t *testing.T, partitions int32, settings ...string) string {
	t.Helper()
	name := live.Name("topic")
	create(t, name, partitions, settings...)
	return name
}

// create makes the topic and waits until every partition has its leader and its log.
func create(t *testing.T, name string, partitions int32, settings ...string) kadm.TopicID {
	t.Helper()
	ctx, adm := live.Context(t), admin(t)
	configs := make(map[string]*string)
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	created := live.Must(adm.CreateTopic(ctx, partitions, 1, configs, name))
	live.Eventually(t, "a leader for every partition of "+name, func() bool {
		detail := live.Must(adm.ListTopics(ctx, name))[name]
		return detail.Err == nil && detail.ID == created.ID && len(detail.Partitions) == int(partitions) && led(detail) &&
			live.Must(adm.ListEndOffsets(ctx, name)).Error() == nil
	})
	return created.ID
}

func led(detail kadm.TopicDetail) bool {
	for _, p := range detail.Partitions {
		if p.Err != nil || p.Leader != 1 {
			return false
		}
	}
	return true
}

// writer is shared: what it sends says its partition, and nothing waits for more.
var writer = sync.OnceValue(func() *kgo.Client {
	return live.Must(kgo.NewClient(kgo.SeedBrokers(live.Bootstrap()), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner())))
})

// fill writes "0", "1", ... to a partition, a millisecond apart from the given timestamp on.
func fill(t *testing.T, topic string, partition int32, count int, first ...time.Time) {
	t.Helper()
	start := time.Now().Truncate(time.Millisecond)
	if len(first) > 0 {
		start = first[0]
	}
	var records []*kgo.Record
	for i := range count {
		at := start.Add(time.Duration(i) * time.Millisecond)
		records = append(records, &kgo.Record{
			Topic: topic, Partition: partition, Value: []byte(strconv.Itoa(i)), Timestamp: at,
		})
	}
	if err := writer().ProduceSync(live.Context(t), records...).FirstErr(); err != nil {
		t.Fatalf("fill %s[%d]: %v", topic, partition, err)
	}
}

// take polls until there are that many records.
func take(t *testing.T, cl *kgo.Client, count int) []*kgo.Record {
	t.Helper()
	ctx := live.Context(t)
	var records []*kgo.Record
	for len(records) < count {
		fetches := cl.PollRecords(ctx, count-len(records))
		fetches.EachError(func(topic string, partition int32, err error) {
			t.Fatalf("after %d of %d records: %s[%d]: %v", len(records), count, topic, partition, err)
		})
		records = append(records, fetches.Records()...)
	}
	return records
}

// nothing polls for as long as given and fails if there is a record.
func nothing(t *testing.T, cl *kgo.Client, during time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), during)
	defer cancel()
	cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
		t.Fatalf("unexpected record %s[%d]@%d", r.Topic, r.Partition, r.Offset)
	})
}

// read returns the first records of a topic.
func read(t *testing.T, topic string, count int) []*kgo.Record {
	t.Helper()
	cl := client(t, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	return take(t, cl, count)
}

func values(records []*kgo.Record) (all []string) {
	for _, r := range records {
		all = append(all, string(r.Value))
	}
	return all
}

// refuses fails unless the error is that of Kafka's.
func refuses(t *testing.T, what string, got error, want *kerr.Error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %s", what, got, want.Message)
	}
}
