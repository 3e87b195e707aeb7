package franz

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"interop/live"
)

// member is a consumer in a group that polls for as long as it lives.
type member struct {
	*kgo.Client
	sync.Mutex
	has, revoked []int32
	read         []string
	cancel       context.CancelFunc
	done         chan struct{}
}

// join adds a member to the group, with the classic protocol.
func join(t *testing.T, group, topic string, options ...kgo.Opt) *member {
	m := &member{done: make(chan struct{})}
	options = append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(200 * time.Millisecond), kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			m.Lock()
			defer m.Unlock()
			m.has = append(m.has, added[topic]...)
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, cl *kgo.Client, gone map[string][]int32) {
			if err := cl.CommitUncommittedOffsets(ctx); err != nil {
				t.Errorf("commit of what was read before the partitions went: %v", err)
			}
			m.Lock()
			defer m.Unlock()
			m.revoked = append(m.revoked, gone[topic]...)
			m.has = slices.DeleteFunc(m.has, func(p int32) bool { return slices.Contains(gone[topic], p) })
		}),
	}, options...)
	m.Client = client(t, options...)
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			m.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				m.Lock()
				defer m.Unlock()
				m.read = append(m.read, fmt.Sprintf("%d:%s", r.Partition, r.Value))
			})
		}
	}()
	t.Cleanup(m.end)
	return m
}

// end stops polling, commits and leaves the group, unless it is a static member.
func (m *member) end() {
	m.cancel()
	<-m.done
	if err := m.CommitUncommittedOffsets(context.Background()); err != nil {
		panic(err)
	}
	m.Close()
}

func (m *member) owns() []int32 {
	m.Lock()
	defer m.Unlock()
	return slices.Sorted(slices.Values(m.has))
}

func (m *member) records() []string {
	m.Lock()
	defer m.Unlock()
	return slices.Clone(m.read)
}

// shared waits until the members own these numbers of partitions, and each of the partitions once.
func shared(t *testing.T, counts []int, members ...*member) {
	t.Helper()
	total := 0
	for _, count := range counts {
		total += count
	}
	live.Eventually(t, fmt.Sprintf("partitions shared as %v", counts), func() bool {
		var sizes []int
		all := make(map[int32]bool)
		for _, m := range members {
			owned := m.owns()
			sizes = append(sizes, len(owned))
			for _, p := range owned {
				all[p] = true
			}
		}
		slices.Sort(sizes)
		return slices.Equal(sizes, counts) && len(all) == total
	})
}

func TestMembersShareTheirPartitionsAsTheyComeAndGo(t *testing.T) {
	for name, balancer := range map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
		"sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group, name := live.Name("group"), topic(t, 6)
			one := join(t, group, name, kgo.Balancers(balancer))
			shared(t, []int{6}, one)
			two := join(t, group, name, kgo.Balancers(balancer))
			shared(t, []int{3, 3}, one, two)
			three := join(t, group, name, kgo.Balancers(balancer))
			shared(t, []int{2, 2, 2}, one, two, three)
			for partition := range int32(6) {
				fill(t, name, partition, 10)
			}
			live.Eventually(t, "sixty records", func() bool {
				return len(one.records())+len(two.records())+len(three.records()) >= 60
			})
			two.end()
			shared(t, []int{3, 3}, one, three)
			all := slices.Concat(one.records(), two.records(), three.records())
			slices.Sort(all)
			live.Equal(t, "records", len(all), 60)
			live.Equal(t, "different records", len(slices.Compact(all)), 60)
		})
	}
}

func TestACooperativeMemberGivesUpOnlyWhatMoves(t *testing.T) {
	group, name := live.Name("group"), topic(t, 4)
	one := join(t, group, name, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	shared(t, []int{4}, one)
	two := join(t, group, name, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	shared(t, []int{2, 2}, one, two)
	one.Lock()
	defer one.Unlock()
	live.Equal(t, "revoked partitions", len(one.revoked), 2)
}

func TestAGroupGoesOnWhereItsLastMemberEnded(t *testing.T) {
	group, name := live.Name("group"), topic(t, 1)
	fill(t, name, 0, 5)
	one := join(t, group, name)
	live.Eventually(t, "five records", func() bool { return len(one.records()) == 5 })
	one.end()
	committed := live.Must(admin(t).FetchOffsets(live.Context(t), group))
	live.Equal(t, "committed", committed[name][0].At, 5)
	fill(t, name, 0, 2)
	two := join(t, group, name)
	live.Eventually(t, "two more records", func() bool { return len(two.records()) >= 2 })
	live.Equal(t, "records", two.records(), []string{"0:0", "0:1"})
}

func TestAMemberGoesOnAtWhatItCommittedItself(t *testing.T) {
	group, name := live.Name("group"), topic(t, 1)
	fill(t, name, 0, 5)
	options := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(name), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	one := client(t, options...)
	if err := one.CommitRecords(live.Context(t), take(t, one, 5)[2]); err != nil {
		t.Fatal(err)
	}
	one.Close()
	live.Equal(t, "values", values(take(t, client(t, options...), 2)), []string{"3", "4"})
}

func TestAStaticMemberComesBackToItsPartitionsWithoutARebalance(t *testing.T) {
	group, name := live.Name("group"), topic(t, 4)
	one := join(t, group, name, kgo.InstanceID("first"), kgo.SessionTimeout(20*time.Second))
	two := join(t, group, name, kgo.InstanceID("second"), kgo.SessionTimeout(20*time.Second))
	shared(t, []int{2, 2}, one, two)
	before, generation := two.owns(), generationOf(two)
	two.end()
	again := join(t, group, name, kgo.InstanceID("second"), kgo.SessionTimeout(20*time.Second))
	shared(t, []int{2, 2}, one, again)
	live.Equal(t, "partitions", again.owns(), before)
	live.Equal(t, "generation", generationOf(again), generation)
}

func generationOf(m *member) int32 {
	_, generation := m.GroupMetadata()
	return generation
}

func TestAStaticMemberThatStaysAwayLosesItsPartitions(t *testing.T) {
	group, name := live.Name("group"), topic(t, 2)
	timeout := kgo.SessionTimeout(6 * time.Second)
	one := join(t, group, name, kgo.InstanceID("first"), timeout)
	two := join(t, group, name, kgo.InstanceID("second"), timeout)
	shared(t, []int{1, 1}, one, two)
	two.end()
	shared(t, []int{2}, one)
}

func TestASecondMemberOfAnInstanceFencesTheFirst(t *testing.T) {
	group, name := live.Name("group"), topic(t, 1)
	fenced := make(chan error, 1)
	one := client(t, kgo.ConsumerGroup(group), kgo.ConsumeTopics(name), kgo.InstanceID("same"),
		kgo.HeartbeatInterval(200*time.Millisecond))
	go func() {
		for ctx := live.Context(t); ctx.Err() == nil; {
			if err := one.PollFetches(ctx).Err(); err != nil {
				fenced <- err
				return
			}
		}
	}()
	live.Eventually(t, "a first generation", func() bool { _, g := one.GroupMetadata(); return g > 0 })
	two := join(t, group, name, kgo.InstanceID("same"))
	shared(t, []int{1}, two)
	refuses(t, "the first member", <-fenced, kerr.FencedInstanceID)
}

func TestAGroupWithMembersRefusesCommitsAndDeletionFromOutside(t *testing.T) {
	ctx, adm := live.Context(t), admin(t)
	group, name := live.Name("group"), topic(t, 2)
	one := join(t, group, name)
	shared(t, []int{2}, one)
	committed := live.Must(adm.CommitOffsets(ctx, group, kadm.Offsets{name: {0: {Topic: name, At: 1, LeaderEpoch: -1}}}))
	refuses(t, "a commit", committed[name][0].Err, kerr.UnknownMemberID)
	_, err := adm.DeleteGroup(ctx, group)
	refuses(t, "the deletion of the group", err, kerr.NonEmptyGroup)
	deleted := live.Must(adm.DeleteOffsets(ctx, group, kadm.TopicsSet{name: {0: {}}}))
	refuses(t, "the deletion of an offset", deleted[name][0], kerr.GroupSubscribedToTopic)
}
