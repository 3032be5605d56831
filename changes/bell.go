package changes

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db"
)

// The bell is NOTIFY on one channel, with the name of the follower that rings.
// It is not part of any transaction that writes: those would have to commit one
// after the other.
const (
	listenStatement = "listen roster_changes"
	ringStatement   = "select true from pg_notify('roster_changes', $1)"
)

const (
	// ringPause is the least time between two rings of one server.
	ringPause = 5 * time.Millisecond
	// ringRetry is the pause after a ring that failed.
	ringRetry   = time.Second
	ringTimeout = time.Second
	// listenCheck is how often a silent connection is asked whether it lives.
	listenCheck   = 30 * time.Second
	listenTimeout = 10 * time.Second // of connecting, and of an answer
	minListenWait = 100 * time.Millisecond
	maxListenWait = 30 * time.Second
)

func newName() string { return rand.Text()[:12] }

// Ring says that something new was committed: this follower looks at once, and
// the others are told. Call it after the commit. It never waits, many rings
// become one, and one that is lost only means that the others see the change
// when they poll.
func (f *Follower) Ring() {
	signal(f.bell)
	signal(f.rope)
}

// ring rings the others' bells.
func (f *Follower) ring() {
	for {
		select {
		case <-f.open.Done():
			return
		case <-f.rope:
		}
		rest := ringPause
		if err := f.notify(); err != nil {
			rest = ringRetry
			f.log.Debug("the other servers could not be told of changes", "error", err)
		}
		if !f.pause(rest) {
			return
		}
	}
}

func (f *Follower) notify() error {
	ctx, cancel := context.WithTimeout(f.open, ringTimeout)
	defer cancel()
	_, err := db.Select[bool](ctx, f.dedicated, ringStatement, f.name)
	return err
}

// listen hears the bell for as long as it can and connects again when it
// cannot.
func (f *Follower) listen() {
	wait, told := minListenWait, false
	for {
		heard, err := f.hear()
		if f.open.Err() != nil {
			return
		}
		if heard {
			wait, told = minListenWait, false
		}
		if !told {
			told = true
			f.log.Info("the bell for changes is not heard; polling goes on", "error", err)
		}
		if !f.pause(wait) {
			return
		}
		wait = min(2*wait, maxListenWait)
	}
}

// hear passes the bell on until the connection fails, and tells whether there
// was one that listened.
func (f *Follower) hear() (heard bool, err error) {
	conn, err := f.connect()
	if err != nil {
		return false, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(f.open), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	signal(f.bell) // what rang before
	for {
		if err := f.hearOne(conn); err != nil {
			return true, err
		}
	}
}

// connect opens a connection that listens.
func (f *Follower) connect() (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(f.open, listenTimeout)
	defer cancel()
	conn, err := f.dedicated.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, listenStatement); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// hearOne waits for one ring or, after some silence, makes sure that the
// connection is still there.
func (f *Follower) hearOne(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(f.open, listenCheck)
	defer cancel()
	ring, err := conn.WaitForNotification(ctx)
	if err == nil {
		if ring.Payload != f.name {
			signal(f.bell)
		}
		return nil
	}
	if ctx.Err() == nil || conn.IsClosed() || f.open.Err() != nil {
		return err
	}
	check, cancelCheck := context.WithTimeout(f.open, listenTimeout)
	defer cancelCheck()
	return conn.Ping(check)
}

// pause waits for d, and tells whether the follower is still open.
func (f *Follower) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-f.open.Done():
		return false
	case <-timer.C:
		return true
	}
}
