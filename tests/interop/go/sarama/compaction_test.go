package sarama_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"interop/live"
)

func TestACompactedTopicIsTheMapOfItsLastValues(t *testing.T) {
	name := topic(t, 1, "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01", "segment.ms", "50")
	p := live.Must(sarama.NewSyncProducerFromClient(client(t, config(sarama.MaxVersion))))
	want := map[string]string{}
	for round := range 10 {
		var messages []*sarama.ProducerMessage
		for i := range 40 {
			m := &sarama.ProducerMessage{Topic: name, Key: sarama.StringEncoder(fmt.Sprint("key ", i%13))}
			key, _ := m.Key.Encode()
			if i%5 == 0 {
				delete(want, string(key))
			} else {
				want[string(key)] = fmt.Sprint(round, ".", i)
				m.Value = sarama.StringEncoder(want[string(key)])
			}
			messages = append(messages, m)
		}
		accepts(t, "records", p.SendMessages(messages))
		time.Sleep(60 * time.Millisecond) // the next round goes into another segment
	}
	// whole reads the topic up to an offset, and says whether each key is there once.
	whole := func(t *testing.T, c *sarama.Config, end int64) bool {
		consumer := live.Must(sarama.NewConsumerFromClient(client(t, c)))
		part := live.Must(consumer.ConsumePartition(name, 0, sarama.OffsetOldest))
		defer part.Close()
		got, count := map[string]string{}, map[string]int{}
		for at := int64(-1); at < end; {
			m := <-part.Messages()
			live.Equal(t, "offsets rise", m.Offset > at, true)
			at = m.Offset
			key := string(m.Key)
			count[key]++
			if got[key] = string(m.Value); m.Value == nil || key == "end" {
				delete(got, key)
			}
		}
		live.Equal(t, "last values", got, want)
		for i := range 13 {
			if count[fmt.Sprint("key ", i)] > 1 {
				return false
			}
		}
		return true
	}
	var end int64
	live.Eventually(t, "each key once", func() bool {
		var err error
		_, end, err = p.SendMessage(&sarama.ProducerMessage{
			Topic: name, Key: sarama.StringEncoder("end"), Value: sarama.StringEncoder("end"),
		})
		accepts(t, "the end", err)
		time.Sleep(200 * time.Millisecond)
		return whole(t, config(sarama.MaxVersion), end)
	})
	versions(t, func(t *testing.T, c *sarama.Config) {
		live.Equal(t, "each key once", whole(t, c, end), true)
	})
}
