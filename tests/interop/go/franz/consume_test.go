package franz

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"interop/live"
)

// from returns a client that reads one partition from an offset on.
func from(t *testing.T, topic string, offset kgo.Offset, options ...kgo.Opt) *kgo.Client {
	partitions := map[string]map[int32]kgo.Offset{topic: {0: offset}}
	return client(t, append(options, kgo.ConsumePartitions(partitions))...)
}

func TestAConsumerStartsWhereItSays(t *testing.T) {
	name := topic(t, 1)
	start := time.UnixMilli(time.Now().UnixMilli() - 60_000)
	fill(t, name, 0, 10, start)
	for what, want := range map[string]struct {
		offset kgo.Offset
		value  string
	}{
		"start":                 {kgo.NewOffset().AtStart(), "0"},
		"two after the start":   {kgo.NewOffset().AtStart().Relative(2), "2"},
		"three before the end":  {kgo.NewOffset().AtEnd().Relative(-3), "7"},
		"an offset":             {kgo.NewOffset().At(4), "4"},
		"the first millisecond": {kgo.NewOffset().AfterMilli(start.UnixMilli()), "0"},
		"the sixth millisecond": {kgo.NewOffset().AfterMilli(start.UnixMilli() + 5), "5"},
		"long before all":       {kgo.NewOffset().AfterMilli(1), "0"},
	} {
		live.Equal(t, what, values(take(t, from(t, name, want.offset), 1)), []string{want.value})
	}
}

func TestAConsumerAtTheEndSeesOnlyWhatComes(t *testing.T) {
	name := topic(t, 1)
	fill(t, name, 0, 3)
	cl := from(t, name, kgo.NewOffset().AtEnd(), kgo.FetchMaxWait(5*time.Second))
	nothing(t, cl, 300*time.Millisecond)
	sent := time.Now()
	fill(t, name, 0, 1)
	live.Equal(t, "offset", take(t, cl, 1)[0].Offset, 3)
	if waited := time.Since(sent); waited > 3*time.Second {
		t.Errorf("a long poll of 5 s was answered after %s, though there was a record at once", waited)
	}
}

func TestAConsumerSeeksForwardsAndBackwards(t *testing.T) {
	name := topic(t, 1)
	fill(t, name, 0, 10)
	cl := from(t, name, kgo.NewOffset().AtStart())
	take(t, cl, 1)
	for _, offset := range []int64{8, 2, 9, 0} {
		cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{name: {0: {Epoch: -1, Offset: offset}}})
		live.Equal(t, "offset", take(t, cl, 1)[0].Offset, offset)
	}
}

func TestAConsumerBelowTheStartOfTheLogIsToldSoOrStartsAgain(t *testing.T) {
	name := topic(t, 1)
	fill(t, name, 0, 10)
	live.Must(admin(t).DeleteRecords(live.Context(t), kadm.Offsets{name: {0: {At: 6}}}))
	again := from(t, name, kgo.NewOffset().At(1), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	live.Equal(t, "offset", take(t, again, 1)[0].Offset, 6)
	strict := from(t, name, kgo.NewOffset().At(1), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	refuses(t, "an offset that was deleted", strict.PollFetches(live.Context(t)).Err(), kerr.OffsetOutOfRange)
	beyond := from(t, name, kgo.NewOffset().At(11), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	refuses(t, "an offset beyond the end", beyond.PollFetches(live.Context(t)).Err(), kerr.OffsetOutOfRange)
}

func TestATopicThatMatchesAPatternIsFoundWhileConsuming(t *testing.T) {
	prefix := live.Name("pattern")
	create(t, prefix+"-one", 1)
	cl := client(t, kgo.ConsumeRegex(), kgo.ConsumeTopics(prefix+"-.*"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(200*time.Millisecond))
	fill(t, prefix+"-one", 0, 1)
	take(t, cl, 1)
	create(t, prefix+"-two", 1)
	fill(t, prefix+"-two", 0, 1)
	live.Equal(t, "topic", take(t, cl, 1)[0].Topic, prefix+"-two")
}

func TestNewPartitionsAreFoundWhileConsuming(t *testing.T) {
	name := topic(t, 1)
	cl := client(t, kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(200*time.Millisecond))
	nothing(t, cl, 300*time.Millisecond)
	if err := live.Must(admin(t).CreatePartitions(live.Context(t), 2, name)).Error(); err != nil {
		t.Fatal(err)
	}
	live.Eventually(t, "a leader for the third partition", func() bool {
		return len(live.Must(admin(t).ListTopics(live.Context(t), name))[name].Partitions) == 3
	})
	fill(t, name, 2, 1)
	live.Equal(t, "partition", take(t, cl, 1)[0].Partition, 2)
}

// Sessions (KIP-227) are what this client uses unless told otherwise.
func TestTwentyPartitionsAreReadInASessionWhileTopicsComeGoAndPause(t *testing.T) {
	first, second := topic(t, 20), topic(t, 5)
	cl := client(t, kgo.ConsumeTopics(first), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond))
	write := func(topic string, partitions int32) {
		for partition := range partitions {
			fill(t, topic, partition, 2)
		}
	}
	seen := func(records []*kgo.Record) (all []string) {
		for _, r := range records {
			all = append(all, fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset))
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	write(first, 20)
	live.Equal(t, "records of the first topic", len(seen(take(t, cl, 40))), 40)
	nothing(t, cl, 500*time.Millisecond)

	write(second, 5)
	cl.AddConsumeTopics(second)
	live.Equal(t, "records of the added topic", len(seen(take(t, cl, 10))), 10)

	cl.PauseFetchPartitions(map[string][]int32{first: {3, 4}})
	cl.PauseFetchTopics(second)
	write(first, 20)
	write(second, 5)
	for _, r := range take(t, cl, 36) {
		if r.Topic != first || r.Partition == 3 || r.Partition == 4 {
			t.Fatalf("paused, and yet %s[%d]", r.Topic, r.Partition)
		}
	}
	nothing(t, cl, 500*time.Millisecond)
	cl.ResumeFetchPartitions(map[string][]int32{first: {3, 4}})
	cl.ResumeFetchTopics(second)
	live.Equal(t, "records after the pause", len(seen(take(t, cl, 14))), 14)

	cl.PurgeTopicsFromConsuming(second)
	write(second, 5)
	write(first, 1)
	for _, r := range take(t, cl, 2) {
		live.Equal(t, "topic after the purge", r.Topic, first)
	}
	nothing(t, cl, 300*time.Millisecond)
}

func TestATopicMadeAgainWhileConsumedIsAnotherTopicUntilItIsPurged(t *testing.T) {
	ctx, name := live.Context(t), topic(t, 1)
	fill(t, name, 0, 3)
	cl := client(t, kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.KeepRetryableFetchErrors(), kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond))
	take(t, cl, 3)
	live.Must(admin(t).DeleteTopic(ctx, name))
	live.Eventually(t, "the end of the topic", func() bool {
		return live.Must(admin(t).ListTopics(ctx, name))[name].Err == kerr.UnknownTopicOrPartition
	})
	create(t, name, 1)
	writer().PurgeTopicsFromProducing(name)
	fill(t, name, 0, 5)
	live.Eventually(t, "UNKNOWN_TOPIC_ID", func() bool {
		fetches := cl.PollFetches(ctx)
		live.Equal(t, "records of the new topic", len(fetches.Records()), 0)
		return slices.ContainsFunc(fetches.Errors(), func(e kgo.FetchError) bool { return e.Err == kerr.UnknownTopicID })
	})
	cl.PurgeTopicsFromConsuming(name)
	cl.AddConsumeTopics(name)
	var again []*kgo.Record
	for len(again) < 5 && ctx.Err() == nil {
		again = append(again, cl.PollFetches(ctx).Records()...)
	}
	live.Equal(t, "values", values(again), []string{"0", "1", "2", "3", "4"})
}
