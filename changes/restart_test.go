package changes_test

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
	"roster/db/embedded"
)

func TestFollowerOutlivesTheDatabase(t *testing.T) {
	t.Parallel()
	server := dbtest.NewServer(t)
	d := open(t, server.DSN("postgres"), db.Options{})
	c := follow(t, d, changes.FollowerOptions{Poll: 10 * time.Millisecond, WaitTimeout: time.Minute})

	// An orderly restart loses no change, although a client keeps writing.
	stop, writing := make(chan struct{}), sync.WaitGroup{}
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				_, _ = d.NewInsert().Model(newChange("x")).ExcludeColumn("xid").Exec(context.Background())
			}
		}
	})
	<-c.arrived
	kill(t, server, syscall.SIGINT)
	time.Sleep(50 * time.Millisecond)
	close(stop)
	writing.Wait()
	c.catchUp(t, d)
	delivered, resets := c.take()
	committed, err := d.NewSelect().Model((*db.Change)(nil)).Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(delivered)) != committed || resets != 0 {
		t.Errorf("orderly restart: %d delivered, %d committed, %d resets", len(delivered), committed, resets)
	}

	// After a crash, later transactions get the numbers of lost ones.
	kill(t, server, syscall.SIGKILL)
	checkReset(t, c, d)

	// The same happens when one connection crashes: PostgreSQL restarts them all.
	var pid int
	if err := d.NewRaw("select pg_backend_pid()").Scan(t.Context(), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	checkReset(t, c, d)
}

// checkReset checks that the follower resets once and then delivers changes again.
func checkReset(t *testing.T, c *consumer, d *db.DB) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		delivered, resets := c.take()
		if len(delivered) != 0 || resets > 1 || time.Now().After(limit) {
			t.Fatalf("crash: %d delivered, %d resets", len(delivered), resets)
		}
		if resets == 1 {
			break
		}
	}
	for limit := time.Now().Add(time.Minute); ; { // until no connection is left that the crash broke
		_, err := d.NewInsert().Model(newChange("after the crash")).ExcludeColumn("xid").Exec(t.Context())
		if err == nil {
			break
		}
		if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
	c.catchUp(t, d)
	expect(t, c.subjects(), "after the crash")
}

// kill sends the signal to PostgreSQL, and returns when a new process has replaced it.
func kill(t *testing.T, server *embedded.Server, signal syscall.Signal) {
	t.Helper()
	pid := server.Pid()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(time.Minute); server.Pid() == pid; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("PostgreSQL was not started again")
		}
	}
}
