// Package sarama_test runs IBM/sarama against a broker, as of its default version and as of its newest.
package sarama_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"interop/live"
)

// versions runs a test with the requests of Kafka 2.8, sarama's default, and of the newest Kafka that it knows.
func versions(t *testing.T, test func(*testing.T, *sarama.Config)) {
	for name, version := range map[string]sarama.KafkaVersion{"default": sarama.DefaultVersion, "newest": sarama.MaxVersion} {
		t.Run(name, func(t *testing.T) { test(t, config(version)) })
	}
}

func config(version sarama.KafkaVersion) *sarama.Config {
	c := sarama.NewConfig()
	c.Version, c.ClientID = version, "sarama-test"
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.MaxWaitTime = 200 * time.Millisecond
	c.Consumer.Group.Heartbeat.Interval = 200 * time.Millisecond
	c.Metadata.Retry.Backoff = 100 * time.Millisecond
	return c
}

func client(t *testing.T, c *sarama.Config) sarama.Client {
	cl := live.Must(sarama.NewClient([]string{live.Bootstrap()}, c))
	t.Cleanup(func() { _ = cl.Close() })
	return cl
}

func admin(t *testing.T, c *sarama.Config) sarama.ClusterAdmin {
	adm := live.Must(sarama.NewClusterAdmin([]string{live.Bootstrap()}, c))
	t.Cleanup(func() { _ = adm.Close() })
	return adm
}

// topic makes a topic, waits for its leaders and returns its name; settings are pairs of name and value.
func topic(t *testing.T, partitions int32, settings ...string) string {
	t.Helper()
	name, c := live.Name("topic"), config(sarama.MaxVersion)
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: map[string]*string{}}
	for i := 0; i < len(settings); i += 2 {
		detail.ConfigEntries[settings[i]] = &settings[i+1]
	}
	accepts(t, "creation of "+name, admin(t, c).CreateTopic(name, detail, false))
	cl := client(t, c)
	live.Eventually(t, "a leader for every partition of "+name, func() bool {
		if cl.RefreshMetadata(name) != nil {
			return false
		}
		for partition := range partitions {
			if _, err := cl.GetOffset(name, partition, sarama.OffsetNewest); err != nil {
				return false
			}
		}
		return true
	})
	return name
}

// fill writes "0", "1", ... to a partition, a millisecond apart from the timestamp on.
func fill(t *testing.T, topic string, partition int32, count int, first time.Time) {
	t.Helper()
	p := live.Must(sarama.NewSyncProducerFromClient(client(t, config(sarama.MaxVersion))))
	var messages []*sarama.ProducerMessage
	for i := range count {
		messages = append(messages, &sarama.ProducerMessage{
			Topic: topic, Partition: partition, Value: sarama.StringEncoder(fmt.Sprint(i)),
			Timestamp: first.Add(time.Duration(i) * time.Millisecond),
		})
	}
	accepts(t, "records", p.SendMessages(messages))
}

// read returns the first messages of a partition.
func read(t *testing.T, c *sarama.Config, topic string, partition int32, from int64, count int) []*sarama.ConsumerMessage {
	t.Helper()
	consumer := live.Must(sarama.NewConsumerFromClient(client(t, c)))
	part := live.Must(consumer.ConsumePartition(topic, partition, from))
	defer part.Close()
	var got []*sarama.ConsumerMessage
	for deadline := time.After(live.Patience); len(got) < count; {
		select {
		case message := <-part.Messages():
			got = append(got, message)
		case err := <-part.Errors():
			t.Fatalf("after %d of %d records: %v", len(got), count, err)
		case <-deadline:
			t.Fatalf("only %d of %d records", len(got), count)
		}
	}
	return got
}

func values(messages []*sarama.ConsumerMessage) (all []string) {
	for _, m := range messages {
		all = append(all, string(m.Value))
	}
	return all
}

func accepts(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// refuses fails unless the error is, or contains, that code of Kafka's.
func refuses(t *testing.T, what string, got error, want sarama.KError) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
