package transport_test

import (
	"bytes"
	"cmp"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/bench/hostile"
	"roster/graph/graphtest"
)

// What one request may take of the server's processors and memory.
const (
	mostTime  = 50 * time.Millisecond
	mostBytes = 16 << 20
)

// Every hostile request is answered or refused, within what one may take of
// memory (see BenchmarkHostile for the processor's time).
func TestHostileRequestsAreBounded(t *testing.T) {
	b := graphtest.NewDemo(t)
	key := reader(t, b)
	requests := hostile.Requests()
	if len(requests) < 100 {
		t.Errorf("%d hostile requests, want 100", len(requests))
	}
	for _, request := range requests {
		var least uint64 = 1 << 60
		var a *graphtest.Answer
		for range 6 {
			before := graphtest.Allocated()
			a = b.Send(t, "POST", "/graphql", graphtest.Headers(key), request.Body)
			// With what this test reads of the answer.
			if least = min(least, graphtest.Allocated()-before); least < mostBytes {
				break
			}
		}
		if least > 2*mostBytes || a.Status >= 500 || strings.Contains(a.Codes(), "INTERNAL") {
			t.Errorf("%s: %d after %d KiB: %.300s", request.Name, a.Status, least>>10, a.Body)
		}
		if a.Status != 200 {
			checkAnswer(t, a)
		}
	}
}

// reader makes an API key that may read everything. Clients that may write are trusted
// to make the server work for longer.
func reader(t testing.TB, b *graphtest.Server) string {
	t.Helper()
	return b.Holding(t, "", b.Ask(t, `{ role(by: {key: "roster-viewer"}) { permissions { key } } }`).Texts("role.permissions", "key")...)
}

// BenchmarkHostile tells what each hostile request takes of the server, the worst
// first, and fails where that is more than it may be. What PostgreSQL takes is not
// in it.
func BenchmarkHostile(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the server does
	bundle := graphtest.NewDemo(b)
	header := graphtest.Headers(reader(b, bundle))
	type taken struct {
		name   string
		status int
		// time is the processors' time; wall includes the database.
		time, wall time.Duration
		bytes      uint64
	}
	var all []taken
	for b.Loop() {
		all = all[:0]
		for _, request := range hostile.Requests() {
			least := taken{name: request.Name, time: time.Hour, wall: time.Hour, bytes: 1 << 60}
			for range 7 { // the server does other things beside
				r := httptest.NewRequestWithContext(b.Context(), "POST", "/graphql", bytes.NewReader(request.Body))
				r.Header = header
				w := httptest.NewRecorder()
				w.Body.Grow(4 << 20) // is not the server's
				bytes, sent, began := graphtest.Allocated(), time.Now(), graphtest.ProcessorTime(b)
				bundle.Handler.ServeHTTP(w, r)
				least.wall, least.status = min(least.wall, time.Since(sent)), w.Code
				least.time, least.bytes = min(least.time, graphtest.ProcessorTime(b)-began), min(least.bytes, graphtest.Allocated()-bytes)
			}
			all = append(all, least)
		}
	}
	slices.SortFunc(all, func(x, y taken) int { return cmp.Compare(y.time, x.time) })
	b.ReportMetric(float64(len(all)), "requests")
	b.ReportMetric(float64(all[0].time.Microseconds())/1000, "ms-cpu/worst")
	b.ReportMetric(float64(slices.MaxFunc(all, func(x, y taken) int { return cmp.Compare(x.bytes, y.bytes) }).bytes>>10), "KiB/worst")
	for i, one := range all {
		if i < 15 || one.bytes > mostBytes/2 || testing.Verbose() {
			b.Logf("%8v of %8v %6d KiB %d  %s", one.time.Round(10*time.Microsecond), one.wall.Round(10*time.Microsecond), one.bytes>>10, one.status, one.name)
		}
		if one.time > mostTime || one.bytes > mostBytes {
			b.Errorf("%s takes %v and %d KiB; at most %v and %d KiB are allowed", one.name, one.time, one.bytes>>10, mostTime, mostBytes>>10)
		}
	}
}
