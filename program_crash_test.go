package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"
)

var long = flag.Bool("long", false, "kill the server and PostgreSQL a hundred times each, and disturb two servers for long, which takes some minutes")

// Acknowledged writes survive kill -9 of the server, of PostgreSQL and of both.
func TestKill(t *testing.T) {
	t.Parallel()
	p := setup(t).withCluster()
	kinds := map[string]func(*process){
		"the server": func(r *process) { r.kill() },
		"PostgreSQL": func(r *process) {
			killed := r.postgres()
			must(t, syscall.Kill(killed, syscall.SIGKILL))
			// Its orphans still serve for a moment.
			eventually(t, func() error {
				if r.postgres() == killed {
					return errors.New("PostgreSQL is not replaced yet")
				}
				return nil
			})
		},
		"both": func(r *process) {
			postgres := r.postgres()
			must(t, syscall.Kill(postgres, syscall.SIGKILL))
			r.kill()
		},
		"both, the server first": func(r *process) {
			postgres := r.postgres()
			r.kill()
			_ = syscall.Kill(postgres, syscall.SIGKILL) // may have ended by itself
		},
	}
	rounds := 1
	if *long {
		rounds = 100
	}
	r := p.start("-demo=false")
	w := &writers{known: map[string]bool{}}
	n := 0
	for range rounds {
		for name, kill := range kinds {
			n++
			w.begin(r, n)
			time.Sleep(time.Duration(50+rand.IntN(250)) * time.Millisecond)
			kill(r)
			if r.runs() {
				w.wantMore(t) // when PostgreSQL runs again
			}
			w.end()
			if !r.runs() {
				r = p.start("-demo=false")
			}
			w.wantAll(r, name+" was killed")
		}
	}
	t.Logf("%d writes were acknowledged", len(w.known))
	r.stop()
}

// writers write at the same time, and record the acknowledged writes.
type writers struct {
	mu    sync.Mutex
	known map[string]bool
	stop  context.CancelFunc
	wait  sync.WaitGroup
	// pause is how long each of them waits after a write.
	pause time.Duration
}

// begin starts writing to the server, and returns when the server has acknowledged a write.
func (w *writers) begin(r *process, round int) {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	w.stop = stop
	for writer := range 4 {
		w.wait.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				email := fmt.Sprintf("user-%d-%d-%d@example.com", round, writer, i)
				if r.create(ctx, email) != nil {
					time.Sleep(10 * time.Millisecond) // the write may have been done nevertheless
					continue
				}
				w.mu.Lock()
				w.known[email] = true
				w.mu.Unlock()
				pause(ctx, w.pause)
			}
		})
	}
	w.wantMore(r.t)
}

func (w *writers) end() {
	w.stop()
	w.wait.Wait()
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.known)
}

// wantMore waits until further writes are acknowledged.
func (w *writers) wantMore(t testing.TB) {
	t.Helper()
	before := w.count()
	eventually(t, func() error {
		// This is more than the writes that can have been under way.
		if n := w.count(); n < before+5 {
			return fmt.Errorf("%d writes were acknowledged before, and %d now", before, n)
		}
		return nil
	})
}

// wantAll fails the test if an acknowledged write is missing after what happened.
func (w *writers) wantAll(r *process, happened string) {
	r.t.Helper()
	found := r.emails()
	for email := range w.known {
		if !found[email] {
			r.t.Errorf("%s was acknowledged, and is lost after %s", email, happened)
		}
	}
}
