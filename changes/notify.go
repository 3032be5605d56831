package changes

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db"
)

// Followers notify each other by NOTIFY on one channel; the payload is the name of the
// sender. No transaction that writes includes a NOTIFY, because PostgreSQL commits such
// transactions one after the other.
const (
	listenStatement = "listen roster_changes"
	notifyStatement = "select true from pg_notify('roster_changes', $1)"
)

const (
	// notifyPause is the least time between two notifications by one server.
	notifyPause = 5 * time.Millisecond
	// notifyRetry is the pause after a notification that failed.
	notifyRetry   = time.Second
	notifyTimeout = time.Second
	// listenCheck is how long a connection is silent before it is checked.
	listenCheck   = 30 * time.Second
	listenTimeout = 10 * time.Second // of connecting, and of a check
	minListenWait = 100 * time.Millisecond
	maxListenWait = 30 * time.Second
)

func newName() string { return rand.Text()[:12] }

// Notify announces that something new was committed: this follower takes a step at
// once, and the other servers are notified. Call it after the commit. It never waits,
// and many calls become one notification. If a notification is lost, the others see
// the change at their next poll.
func (f *Follower) Notify() {
	signal(f.news)
	signal(f.unsent)
}

// notifyOthers sends notifications to the other servers until the follower is closed.
func (f *Follower) notifyOthers() {
	for {
		select {
		case <-f.open.Done():
			return
		case <-f.unsent:
		}
		rest := notifyPause
		if err := f.sendNotification(); err != nil {
			rest = notifyRetry
			f.log.Debug("the other servers could not be notified of changes", "error", err)
		}
		if !f.pause(rest) {
			return
		}
	}
}

func (f *Follower) sendNotification() error {
	ctx, cancel := context.WithTimeout(f.open, notifyTimeout)
	defer cancel()
	_, err := db.Select[bool](ctx, f.dedicated, notifyStatement, f.name)
	return err
}

// listen receives notifications until the follower is closed. It connects again when
// its connection fails.
func (f *Follower) listen() {
	wait, logged := minListenWait, false
	for {
		listened, err := f.receiveAll()
		if f.open.Err() != nil {
			return
		}
		if listened {
			wait, logged = minListenWait, false
		}
		if !logged {
			logged = true
			f.log.Info("notifications of changes are not received; polling goes on", "error", err)
		}
		if !f.pause(wait) {
			return
		}
		wait = min(2*wait, maxListenWait)
	}
}

// receiveAll receives notifications until the connection fails. It reports whether it
// had a connection that listened.
func (f *Follower) receiveAll() (listened bool, err error) {
	conn, err := f.connect()
	if err != nil {
		return false, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(f.open), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	signal(f.news) // for what was sent before
	for {
		if err := f.receive(conn); err != nil {
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

// receive waits for one notification. After some silence, it checks that the
// connection is still alive instead.
func (f *Follower) receive(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(f.open, listenCheck)
	defer cancel()
	notification, err := conn.WaitForNotification(ctx)
	if err == nil {
		if notification.Payload != f.name {
			signal(f.news)
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

// pause waits for d, and reports whether the follower is still open.
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
