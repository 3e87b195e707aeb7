// Command counting is franz-go as tests/support/clients/counting.py has the other clients: a member of a group that
// writes down what it processed before it commits it. Arguments: protocol, bootstrap server, topic, group, journal,
// session timeout in ms, seed.
package main

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"math/rand"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	work         = 20 * time.Millisecond
	poll         = 200 * time.Millisecond
	patience     = 60 * time.Second
	batchMax     = 50
	pauseOnError = 200 * time.Millisecond
)

type note map[string]any

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	protocol, bootstrap, topic, group := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	file := must(os.OpenFile(os.Args[5], os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644))
	session := time.Duration(must(strconv.Atoi(os.Args[6]))) * time.Millisecond
	seed := fnv.New64a()
	seed.Write([]byte(os.Args[7]))
	chance := rand.New(rand.NewSource(int64(seed.Sum64())))

	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.RangeBalancer()),
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(500 * time.Millisecond),
	}
	if protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer())
	}
	client := must(kgo.NewClient(options...))
	over, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()

	write := func(what note) {
		what["at"] = float64(time.Now().UnixMicro()) / 1e6
		must(file.Write(append(must(json.Marshal(what)), '\n')))
	}
	write(note{"opened": true})
	for over.Err() == nil {
		count(client, chance, write)
	}
	client.CloseAllowingRebalance()
	write(note{"closed": true})
}

// count processes and commits one batch.
func count(client *kgo.Client, chance *rand.Rand, write func(note)) {
	ctx, cancel := context.WithTimeout(context.Background(), poll)
	defer cancel()
	fetches := client.PollRecords(ctx, batchMax)
	defer client.AllowRebalance()
	for _, failed := range fetches.Errors() {
		if failed.Err != context.DeadlineExceeded {
			write(note{"error": "poll: " + failed.Err.Error()})
			time.Sleep(pauseOnError)
		}
	}
	records := fetches.Records()
	if len(records) == 0 {
		return
	}
	var processed [][]any
	offsets := map[int32]int64{}
	for _, record := range records {
		processed = append(processed, []any{record.Partition, record.Offset, string(record.Value)})
		offsets[record.Partition] = record.Offset + 1
	}
	write(note{"processed": processed})
	time.Sleep(time.Duration(chance.Int63n(int64(work))))
	write(note{"commits": offsets})
	ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := client.CommitRecords(ctx, records...); err != nil {
		write(note{"refused": err.Error()})
	} else {
		write(note{"committed": true})
	}
}
