// Package live is what the tests of every client need: the broker under test, names of their own, patience.
package live

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// Patience is how long a test waits for what has to happen.
const Patience = 40 * time.Second

var names atomic.Int64

// Bootstrap returns host:port of the broker under test: node 1, the only one, with default settings.
func Bootstrap() string {
	address := os.Getenv("BOOTSTRAP")
	if address == "" {
		panic("BOOTSTRAP must name a broker, as host:port")
	}
	return address
}

// Name returns a name that nothing else on the broker has.
func Name(kind string) string {
	return fmt.Sprintf("%s-%s-%d", kind, strconv.FormatInt(time.Now().UnixMicro(), 36), names.Add(1))
}

// Context returns a context that ends with the test's patience.
func Context(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Must returns the value, and ends the test with a trace when there is an error instead.
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Eventually checks again and again until what is named holds.
func Eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", Patience, what)
		}
	}
}

// Equal fails the test unless both print the same.
func Equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}
