package sarama_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"interop/live"
)

func TestEachCodecArrivesFromBothProducers(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		for _, codec := range []sarama.CompressionCodec{
			sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
		} {
			name := topic(t, 1)
			c.Producer.Compression = codec
			value := strings.Repeat(codec.String(), 1000)
			sync := live.Must(sarama.NewSyncProducerFromClient(client(t, c)))
			_, offset, err := sync.SendMessage(&sarama.ProducerMessage{Topic: name, Value: sarama.StringEncoder(value)})
			live.Equal(t, codec.String(), []any{offset, err}, []any{0, nil})
			async := live.Must(sarama.NewAsyncProducerFromClient(client(t, c)))
			for range 10 {
				async.Input() <- &sarama.ProducerMessage{Topic: name, Value: sarama.StringEncoder(value)}
			}
			for range 10 {
				select {
				case <-async.Successes():
				case err := <-async.Errors():
					t.Fatal(err)
				}
			}
			for _, got := range values(read(t, c, name, 0, 0, 11)) {
				live.Equal(t, "same value", got == value, true)
			}
		}
	})
}

func TestRecordsArriveWithEveryKindOfAcknowledgement(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		for _, acks := range []sarama.RequiredAcks{sarama.NoResponse, sarama.WaitForLocal, sarama.WaitForAll} {
			name := topic(t, 1)
			c.Producer.RequiredAcks = acks
			p := live.Must(sarama.NewSyncProducerFromClient(client(t, c)))
			_, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: name, Value: sarama.StringEncoder("v")})
			accepts(t, fmt.Sprint(acks), err)
			live.Equal(t, "values", values(read(t, c, name, 0, 0, 1)), []string{"v"})
		}
	})
}

func TestAnIdempotentProducerKeepsTheOrder(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		name := topic(t, 1)
		c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
		c.Producer.Flush.MaxMessages = 10
		p := live.Must(sarama.NewSyncProducerFromClient(client(t, c)))
		var messages []*sarama.ProducerMessage
		for range 200 {
			messages = append(messages, &sarama.ProducerMessage{Topic: name, Value: sarama.StringEncoder("v")})
		}
		accepts(t, "200 records", p.SendMessages(messages))
		for i, m := range messages {
			live.Equal(t, "offset", m.Offset, i)
		}
		live.Equal(t, "records", len(read(t, c, name, 0, 0, 200)), 200)
	})
}

func TestKeysHeadersNullsAndTimestampsArrive(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		name := topic(t, 2)
		stamp := time.UnixMilli(1_700_000_000_123)
		p := live.Must(sarama.NewSyncProducerFromClient(client(t, c)))
		accepts(t, "records", p.SendMessages([]*sarama.ProducerMessage{
			{Topic: name, Partition: 1, Key: sarama.StringEncoder("k"), Timestamp: stamp, Headers: []sarama.RecordHeader{
				{Key: []byte("twice"), Value: []byte("1")}, {Key: []byte("twice"), Value: []byte("2")}, {Key: []byte("null")},
			}},
			{Topic: name, Partition: 1, Key: sarama.StringEncoder(""), Value: sarama.StringEncoder("")},
		}))
		got := read(t, c, name, 1, 0, 2)
		live.Equal(t, "nulls", []bool{got[0].Key == nil, got[0].Value == nil, got[1].Key == nil, got[1].Value == nil},
			[]bool{false, true, false, false})
		live.Equal(t, "key, time", []any{string(got[0].Key), got[0].Timestamp.UnixMilli()}, []any{"k", stamp.UnixMilli()})
		var headers []string
		for _, h := range got[0].Headers {
			headers = append(headers, string(h.Key)+"="+string(h.Value))
		}
		live.Equal(t, "headers", headers, []string{"twice=1", "twice=2", "null="})
	})
}

func TestWhatTheBrokerMayNotStoreIsRefused(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		c.Producer.MaxMessageBytes, c.Producer.Retry.Max, c.Metadata.Retry.Max = 3<<20, 0, 0
		c.Metadata.AllowAutoTopicCreation = false
		p := live.Must(sarama.NewSyncProducerFromClient(client(t, c)))
		send := func(m *sarama.ProducerMessage) error { _, _, err := p.SendMessage(m); return err }
		big := sarama.ByteEncoder(make([]byte, 2<<20))
		refuses(t, "two megabytes", send(&sarama.ProducerMessage{Topic: topic(t, 1), Value: big}), sarama.ErrMessageSizeTooLarge)
		late := time.Now().Add(24 * time.Hour)
		refuses(t, "tomorrow", send(&sarama.ProducerMessage{Topic: topic(t, 1), Timestamp: late}), sarama.ErrInvalidTimestamp)
		refuses(t, "an unknown topic", send(&sarama.ProducerMessage{Topic: live.Name("none")}), sarama.ErrUnknownTopicOrPartition)
		refuses(t, "a bad name", send(&sarama.ProducerMessage{Topic: "a b"}), sarama.ErrInvalidTopic)
	})
}

func TestAConsumerStartsAtAnOffsetOrTheEnd(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		name := topic(t, 1)
		fill(t, name, 0, 10, time.Now())
		live.Equal(t, "oldest", values(read(t, c, name, 0, sarama.OffsetOldest, 2)), []string{"0", "1"})
		live.Equal(t, "offset 7", values(read(t, c, name, 0, 7, 3)), []string{"7", "8", "9"})
		consumer := live.Must(sarama.NewConsumerFromClient(client(t, c)))
		part := live.Must(consumer.ConsumePartition(name, 0, sarama.OffsetNewest))
		defer part.Close()
		fill(t, name, 0, 1, time.Now())
		live.Equal(t, "newest", (<-part.Messages()).Offset, 10)
		_, err := consumer.ConsumePartition(name, 0, 99)
		refuses(t, "beyond the end", err, sarama.ErrOffsetOutOfRange)
	})
}

func TestAConsumerPausesAndResumes(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		name := topic(t, 2)
		consumer := live.Must(sarama.NewConsumerFromClient(client(t, c)))
		zero := live.Must(consumer.ConsumePartition(name, 0, sarama.OffsetOldest))
		one := live.Must(consumer.ConsumePartition(name, 1, sarama.OffsetOldest))
		defer zero.Close()
		defer one.Close()
		consumer.Pause(map[string][]int32{name: {1}})
		time.Sleep(2 * c.Consumer.MaxWaitTime) // a fetch may be under way
		fill(t, name, 0, 1, time.Now())
		fill(t, name, 1, 1, time.Now())
		live.Equal(t, "of 0", (<-zero.Messages()).Offset, 0)
		select {
		case <-one.Messages():
			t.Error("a record of a paused partition")
		case <-time.After(2 * c.Consumer.MaxWaitTime):
		}
		consumer.ResumeAll()
		live.Equal(t, "of 1", (<-one.Messages()).Offset, 0)
	})
}

func TestAClientFindsOffsetsByTime(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		name := topic(t, 1)
		fill(t, name, 0, 10, time.UnixMilli(1_700_000_000_000))
		cl := client(t, c)
		for milli, want := range map[int64]int64{
			sarama.OffsetOldest: 0, sarama.OffsetNewest: 10, 1_700_000_000_004: 4, 1_600_000_000_000: 0, 1_800_000_000_000: -1,
		} {
			live.Equal(t, fmt.Sprint(milli), live.Must(cl.GetOffset(name, 0, milli)), want)
		}
	})
}

// handler marks every message and tells of it.
type handler struct {
	claims   chan map[string][]int32
	messages chan *sarama.ConsumerMessage
}

func (h *handler) Setup(s sarama.ConsumerGroupSession) error   { h.claims <- s.Claims(); return nil }
func (h *handler) Cleanup(s sarama.ConsumerGroupSession) error { s.Commit(); return nil }
func (h *handler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		s.MarkMessage(message, "read")
		h.messages <- message
	}
	return nil
}

// join adds a member and returns what tells of it and what ends it.
func join(t *testing.T, c *sarama.Config, group, topic string) (*handler, func()) {
	h := &handler{make(chan map[string][]int32, 100), make(chan *sarama.ConsumerMessage, 1000)}
	member := live.Must(sarama.NewConsumerGroup([]string{live.Bootstrap()}, group, c))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		for range member.Errors() { // a rebalance ends a session with errors that a next one mends
		}
	}()
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := member.Consume(ctx, []string{topic}, h); errors.Is(err, sarama.ErrClosedConsumerGroup) {
				return
			}
		}
	}()
	end := func() {
		cancel()
		<-done
		_ = member.Close()
	}
	t.Cleanup(end)
	return h, end
}

// claimed waits until the member has that many partitions.
func claimed(t *testing.T, h *handler, topic string, count int) {
	t.Helper()
	for deadline := time.After(live.Patience); ; {
		select {
		case claims := <-h.claims:
			if len(claims[topic]) == count {
				return
			}
		case <-deadline:
			t.Fatalf("never had %d partitions", count)
		}
	}
}

func TestAGroupSharesRebalancesAndGoesOn(t *testing.T) {
	for name, strategy := range map[string]sarama.BalanceStrategy{
		"range": sarama.NewBalanceStrategyRange(), "roundrobin": sarama.NewBalanceStrategyRoundRobin(),
		"sticky": sarama.NewBalanceStrategySticky(),
	} {
		t.Run(name, func(t *testing.T) {
			versions(t, func(t *testing.T, c *sarama.Config) {
				c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
				group, name := live.Name("group"), topic(t, 4)
				one, endOne := join(t, c, group, name)
				claimed(t, one, name, 4)
				two, endTwo := join(t, c, group, name)
				claimed(t, one, name, 2)
				claimed(t, two, name, 2)
				for partition := range int32(4) {
					fill(t, name, partition, 5, time.Now())
				}
				for range 20 {
					select {
					case <-one.messages:
					case <-two.messages:
					case <-time.After(live.Patience):
						t.Fatal("not all twenty records came")
					}
				}
				endTwo()
				claimed(t, one, name, 4)
				endOne()
				got := live.Must(admin(t, c).ListConsumerGroupOffsets(group, nil))
				for partition := range int32(4) {
					block := got.GetBlock(name, partition)
					live.Equal(t, "committed", []any{block.Offset, block.Metadata}, []any{5, "read"})
				}
				fill(t, name, 3, 1, time.Now())
				three, _ := join(t, c, group, name)
				next := <-three.messages
				live.Equal(t, "the next record", []any{next.Partition, next.Offset}, []any{3, 5})
			})
		})
	}
}

func TestAStaticMemberKeepsItsPlace(t *testing.T) {
	versions(t, func(t *testing.T, c *sarama.Config) {
		c.Consumer.Group.InstanceId = "the-instance"
		group, name := live.Name("group"), topic(t, 1)
		one, end := join(t, c, group, name)
		claimed(t, one, name, 1)
		end()
		described := live.Must(admin(t, c).DescribeConsumerGroups([]string{group}))[0]
		live.Equal(t, "state, members", []any{described.State, len(described.Members)}, []any{"Stable", 1})
		again, _ := join(t, c, group, name)
		claimed(t, again, name, 1)
	})
}
