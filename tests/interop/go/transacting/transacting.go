// Command transacting is franz-go as tests/support/clients/transacting.py has confluent-kafka: a member of a chain
// that consumes, produces, and commits both in one transaction. Arguments: protocol, bootstrap server, source, topic,
// group, transactional id, journal, session timeout in ms, seed, transaction timeout in ms.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	work         = 100 * time.Millisecond
	poll         = 200 * time.Millisecond
	batchMax     = 30
	pauseOnError = 200 * time.Millisecond
	aborts       = 0.15
	cannotGoOn   = 3
)

type note map[string]any

type member struct {
	session *kgo.GroupTransactSession
	topic   string
	name    string
	number  int
	chance  *rand.Rand
	file    *os.File
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func milliseconds(text string) time.Duration {
	return time.Duration(must(strconv.Atoi(text))) * time.Millisecond
}

func main() {
	protocol, bootstrap, source, topic, group := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	path := os.Args[7]
	seed := fnv.New64a()
	seed.Write([]byte(os.Args[9]))
	m := &member{
		topic:  topic,
		name:   strings.TrimSuffix(filepath.Base(path), ".jsonl"),
		chance: rand.New(rand.NewSource(int64(seed.Sum64()))),
		file:   must(os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)),
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(source),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.RangeBalancer()),
		kgo.SessionTimeout(milliseconds(os.Args[8])),
		kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.TransactionalID(os.Args[6]),
		kgo.TransactionTimeout(milliseconds(os.Args[10])),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
			m.write(note{"assigned": append([]int32{}, assigned[source]...)})
		}),
	}
	if protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer())
	}
	m.session = must(kgo.NewGroupTransactSession(options...))
	over, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()

	m.write(note{"opened": os.Args[6]})
	var err error
	for over.Err() == nil && err == nil {
		err = m.step()
	}
	m.session.Close()
	if err != nil {
		m.write(note{"error": fmt.Sprintf("cannot go on: %v", err)})
		os.Exit(cannotGoOn)
	}
	m.write(note{"closed": true})
}

func (m *member) write(what note) {
	what["at"] = float64(time.Now().UnixMicro()) / 1e6
	must(m.file.Write(append(must(json.Marshal(what)), '\n')))
}

// step does one transaction, if there is anything to do; an error says that it is over with this member.
func (m *member) step() error {
	ctx, cancel := context.WithTimeout(context.Background(), poll)
	defer cancel()
	fetches := m.session.PollRecords(ctx, batchMax)
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			m.write(note{"error": "poll: " + failed.Err.Error()})
			time.Sleep(pauseOnError)
		}
	}
	records := fetches.Records()
	if len(records) == 0 {
		return nil
	}
	m.number++
	transaction := fmt.Sprintf("%s/%d", m.name, m.number)
	var polled [][]any
	offsets := map[int32]int64{}
	for _, record := range records {
		polled = append(polled, []any{record.Partition, record.Offset, string(record.Value), string(record.Key)})
		offsets[record.Partition] = record.Offset + 1
	}
	m.write(note{"begins": transaction, "polled": polled})
	return m.transact(transaction, records, offsets)
}

func (m *member) transact(transaction string, records []*kgo.Record, offsets map[int32]int64) error {
	if err := m.session.Begin(); err != nil {
		m.write(note{"refused": err.Error()})
		return err
	}
	var failed kgo.FirstErrPromise
	for _, record := range records {
		written := kgo.Record{
			Topic:     m.topic,
			Partition: record.Partition,
			Key:       []byte(transaction),
			Value:     record.Value,
		}
		m.session.Produce(context.Background(), &written, failed.Promise())
	}
	time.Sleep(time.Duration(m.chance.Int63n(int64(work))))
	try := kgo.TransactionEndTry(m.chance.Float64() >= aborts)
	if try == kgo.TryCommit {
		if err := failed.Err(); err != nil {
			m.write(note{"error": "produce: " + err.Error()})
			try = kgo.TryAbort
		} else {
			m.write(note{"commits": offsets})
		}
	}
	committed, err := m.session.End(context.Background(), try)
	switch {
	case err != nil:
		m.write(note{"refused": err.Error()})
	case committed:
		m.write(note{"committed": true})
	default:
		m.write(note{"aborted": true})
	}
	return err
}
