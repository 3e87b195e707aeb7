package franz

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"interop/live"
)

func TestACompactedTopicIsTheMapOfItsLastValues(t *testing.T) {
	name := topic(t, 1, "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01", "segment.ms", "50")
	want := map[string]string{}
	for round := range 10 {
		var records []*kgo.Record
		for i := range 40 {
			r := &kgo.Record{Topic: name, Key: fmt.Appendf(nil, "key %d", i%13)}
			if i%5 == 0 {
				delete(want, string(r.Key))
			} else {
				r.Value = fmt.Appendf(nil, "%d.%d", round, i)
				want[string(r.Key)] = string(r.Value)
			}
			records = append(records, r)
		}
		if err := writer().ProduceSync(live.Context(t), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(60 * time.Millisecond) // the next round goes into another segment
	}
	live.Eventually(t, "each key once", func() bool {
		end := &kgo.Record{Topic: name, Key: []byte("end"), Value: []byte("end")}
		if err := writer().ProduceSync(live.Context(t), end).FirstErr(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		got, count := map[string]string{}, map[string]int{}
		cl := from(t, name, kgo.NewOffset().AtStart())
		for at := int64(-1); at < end.Offset; {
			r := take(t, cl, 1)[0]
			live.Equal(t, "offsets rise", r.Offset > at, true)
			at = r.Offset
			key := string(r.Key)
			count[key]++
			if got[key] = string(r.Value); r.Value == nil || key == "end" {
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
	})
}
