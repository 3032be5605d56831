package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var soak = flag.Duration("soak", 0, "load a server for so long with clients of all kinds, and see that it holds out, such as 10m")

// Under a mixed load with hostile clients, the server's memory and goroutines do not grow,
// and no answer is an internal error.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("takes as long as -soak says, such as 10m")
	}
	p := setup(t)
	r := p.start()
	key, theirs := r.reader(), r.reader()
	rest := r.figures()
	statuses := &tally{}
	ctx, stop := context.WithTimeout(t.Context(), *soak)
	defer stop()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() { r.reads(ctx, key, statuses) })
	}
	for i := range 2 {
		clients.Go(func() { r.writes(ctx, i, statuses) })
	}
	stops := []func() map[int]int64{r.attacked(attackers{Connections: 4, Key: ""}), r.attacked(attackers{Connections: 4, Key: theirs})}

	all := []figures{r.figures()}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(min(10*time.Second, *soak/20)):
			all = append(all, r.figures())
		}
	}
	clients.Wait()
	wantNoFaults(t, "honest clients", statuses.counts(), true)
	for _, stop := range stops {
		wantNoFaults(t, "hostile clients", stop(), false)
	}
	// The first quarter of the time fills caches, which are bounded.
	early, late := mean(all[len(all)/4:len(all)/2]), mean(all[len(all)*3/4:])
	t.Logf("from then to then: %v", all)
	t.Logf("at rest %v; under load at first %v, at the end %v", rest, early, late)
	if late.resident > early.resident*1.2+32<<20 {
		t.Errorf("memory grows: %v, then %v", early, late)
	}
	client.CloseIdleConnections()
	eventually(t, func() error {
		if now := r.figures(); now.goroutines > rest.goroutines+20 {
			return fmt.Errorf("goroutines at rest: %.0f, afterwards %.0f", rest.goroutines, now.goroutines)
		}
		return nil
	})
	r.wantReady()
	r.stop()
}

func wantNoFaults(t *testing.T, who string, statuses map[int]int64, answered bool) {
	t.Helper()
	t.Logf("%s were answered %v", who, statuses)
	for status, n := range statuses {
		if n > 0 && (status >= 500 && status != http.StatusServiceUnavailable || answered && status != 200 && status < 500) {
			t.Errorf("%s were answered %d %d times", who, status, n)
		}
	}
}

// reads sends the requests of honest clients, with pauses.
func (r *process) reads(ctx context.Context, key string, statuses *tally) {
	for i := 0; ctx.Err() == nil; i++ {
		if status := post(ctx, client, r.url, key, honest[i%len(honest)], nil); ctx.Err() == nil {
			statuses.add(status)
		}
		time.Sleep(rand.N(20 * time.Millisecond))
	}
}

// writes makes users, suspends them and deletes them again.
func (r *process) writes(ctx context.Context, writer int, statuses *tally) {
	for i := 0; ctx.Err() == nil; i++ {
		email := fmt.Sprintf("soak-%d-%d@example.com", writer, i)
		for _, text := range []string{
			`createUser(input:{email:\"%s\",organizations:[{code:\"acme\"}]})`,
			`suspendUser(input:{user:{email:\"%s\"}})`, `deleteUser(input:{user:{email:\"%s\"}})`,
		} {
			body := `{"query":"mutation{` + fmt.Sprintf(text, email) + `{__typename}}"}`
			if status := post(ctx, client, r.url, r.key, []byte(body), nil); ctx.Err() == nil {
				statuses.add(status)
			}
		}
		time.Sleep(rand.N(100 * time.Millisecond))
	}
}

// figures are measurements of a server.
type figures struct{ resident, goroutines float64 }

func (f figures) String() string {
	return fmt.Sprintf("%.0f MiB, %.0f goroutines", f.resident/(1<<20), f.goroutines)
}

func mean(all []figures) (m figures) {
	for _, f := range all {
		m.resident += f.resident / float64(len(all))
		m.goroutines += f.goroutines / float64(len(all))
	}
	return m
}

func (r *process) figures() (f figures) {
	r.t.Helper()
	_, page := r.get("/metrics")
	lines := bufio.NewScanner(strings.NewReader(page))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		number, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "process_resident_memory_bytes":
			f.resident = number
		case "go_goroutines":
			f.goroutines = number
		}
	}
	if f.resident == 0 || f.goroutines == 0 {
		r.t.Fatalf("/metrics says nothing of memory and goroutines: %.300s", page)
	}
	return f
}
