package main

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// An overloaded server refuses requests, still reports that it is alive, and works as
// before when the load is over.
func TestOverload(t *testing.T) {
	t.Parallel()
	p := setup(t).withCluster()
	r := p.start("-demo=false")
	must(t, r.create(t.Context(), "ann@example.com"))
	other := p.connect()
	exec := func(statement string) {
		_, err := other.Exec(t.Context(), statement)
		must(t, err)
	}
	exec("begin")
	exec("lock table settings in access exclusive mode") // keys are found without it

	// These are more requests than run at a time. All connections to the database wait for
	// the lock.
	own := &http.Client{Transport: &http.Transport{}, Timeout: waitTimeout}
	defer own.CloseIdleConnections()
	statuses := &tally{}
	var load sync.WaitGroup
	for range 300 {
		load.Go(func() {
			statuses.add(post(t.Context(), own, r.url, r.key, []byte(`{"query":"{settings{allowSelfSignUp}}"}`), nil))
		})
	}
	eventually(t, func() error {
		if statuses.counts()[http.StatusServiceUnavailable] == 0 {
			return errors.New("nobody is turned away yet")
		}
		return nil
	})
	r.wantPage("/healthz", 200, "ok")
	r.wantPage("/metrics", 200, "roster_http_requests_in_flight")
	if n := statuses.counts()[http.StatusOK]; n > 0 {
		t.Errorf("%d were answered", n)
	}

	exec("commit")
	over := time.Now()
	load.Wait()
	eventually(t, func() error {
		if emails := r.emails(); !emails["ann@example.com"] {
			return fmt.Errorf("users: %v", emails)
		}
		return nil
	})
	r.wantReady()
	t.Logf("after %v all is as before", time.Since(over).Round(time.Millisecond))
	if counts := statuses.counts(); counts[http.StatusOK] == 0 || counts[http.StatusOK]+counts[http.StatusServiceUnavailable] != 300 {
		t.Errorf("the load was answered %v", counts)
	}
	r.stop()
}
