// Package directory holds the rules: every read and write of users,
// organizations, memberships, roles and permissions. A function checks the
// actor's permission, runs its SQL, and, when it writes, records what changed;
// each concept has a file.
package directory

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/uptrace/bun"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
	"roster/secret"
)

// Directory is the business's users, organizations, roles and permissions.
type Directory struct {
	db     *db.DB
	engine *access.Engine
	feed   *changes.Follower
	log    *slog.Logger
	keys   keyCache
	// again has room for the one transaction that is run again.
	again chan struct{}
}

// New gives the directory that is kept in database; Setup prepares a new one,
// Follow makes it fast, and Close ends it.
func New(database *db.DB, o access.Options) *Directory {
	engine := access.NewEngine(database, o)
	return &Directory{
		db: database, engine: engine, log: o.Log, keys: newKeyCache(), again: make(chan struct{}, 1),
		feed: changes.NewFollower(database, o.Log, changes.FollowerOptions{Reset: engine.Reset}, engine.Apply),
	}
}

// Follow begins to follow the log of changes, whoever makes them. Until then,
// and whenever it cannot be followed, every answer comes from the database.
func (d *Directory) Follow(ctx context.Context) error {
	if err := d.feed.Start(ctx); err != nil {
		return err
	}
	d.engine.Follow(d.feed)
	return nil
}

// Position is the point in history up to which this server knows all changes.
func (d *Directory) Position() changes.Revision { return d.feed.Position() }

// Await returns when this server knows all changes up to the revision, which is
// in text form. It fails with INVALID for what is none, and with STALE when the
// revision does not come in time.
func (d *Directory) Await(ctx context.Context, revision string) error {
	r, err := changes.ParseRevision(revision)
	if err != nil {
		return problem.New(problem.Invalid, "Roster-At-Least is not a revision.")
	}
	return d.feed.Wait(ctx, r)
}

// Stats tell how checks are answered.
func (d *Directory) Stats() access.Stats { return d.engine.Stats() }

// Ready fails while requests cannot be answered well: when the database does not
// answer, or the feed of changes does not come.
func (d *Directory) Ready(ctx context.Context) error {
	if err := d.db.PingContext(ctx); err != nil {
		return err
	}
	if lag := d.engine.Stats().Lag; lag > d.engine.Staleness() {
		return fmt.Errorf("the feed of changes is %v behind", lag.Round(time.Millisecond))
	}
	return nil
}

// Close stops what runs in the background, once no request runs any more; the
// database stays open.
func (d *Directory) Close() {
	d.feed.Close()
	d.engine.Close()
	d.keys.close()
}

// Atomically runs fn in one transaction, which everything that fn does with its
// context joins: all of it happens or nothing. A transaction that lost a race
// against another is run again, so fn must be repeatable; one that keeps losing
// fails with an error that is db.Retryable. Once it has returned, no answer of
// this server is older than what it wrote.
func (d *Directory) Atomically(ctx context.Context, fn func(ctx context.Context) error) error {
	if db.HasTx(ctx) {
		return fn(ctx)
	}
	err := d.attempt(ctx, fn)
	if !db.Retryable(err) {
		return err
	}
	// One at a time: documents that name the same in opposite orders would only meet
	// again. Who waits holds nothing, neither locks nor a connection.
	select {
	case d.again <- struct{}{}:
		defer func() { <-d.again }()
	case <-ctx.Done():
		return err
	}
	const more = 4
	for try := 1; try <= more && db.Retryable(err) && ctx.Err() == nil; try++ {
		d.log.DebugContext(ctx, "transaction runs again", "try", try, "cause", err)
		err = d.attempt(ctx, fn)
	}
	return err
}

// attempt runs fn in a transaction of its own, once.
func (d *Directory) attempt(ctx context.Context, fn func(ctx context.Context) error) error {
	var done written
	var undone error
	err := d.db.InTx(context.WithValue(ctx, writtenKey{}, &done), func(ctx context.Context, _ bun.Tx) error {
		undone = fn(ctx)
		return undone
	})
	// Also when the commit fails: if the connection breaks meanwhile, nobody
	// knows whether it was done.
	if undone == nil && len(done.changes) > 0 {
		d.engine.Committed(done.changes)
		d.feed.Ring()
	}
	if err == nil {
		changes.Committed(ctx, done.changes)
	}
	return err
}

// written is what a transaction has written down.
type written struct {
	changes []db.Change
	// last are the changes of the last write, and at is its moment.
	last []db.Change
	at   time.Time
}

type writtenKey struct{}

// errRehearsed undoes a rehearsal.
var errRehearsed = errors.New("rehearsed")

// Rehearse is Atomically, except that all is undone in the end. It fails just
// as Atomically would.
func (d *Directory) Rehearse(ctx context.Context, fn func(ctx context.Context) error) error {
	err := d.Atomically(ctx, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			return err
		}
		if _, err := d.db.Of(ctx).NewRaw("set constraints all immediate").Exec(ctx); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		return nil
	}
	return err
}

// write is one change on its way: the transaction, the moment that it happens
// at, and the record of it.
type write struct {
	bun.Tx
	at     time.Time
	actor  *access.Actor
	record *changes.Record
	// faults are what is wrong with the input so far. Whatever is looked up for a
	// write adds what is missing to them, and gives nil for it, so that the rest of
	// the input is judged as well; nothing may be written while there are some.
	faults faults
}

// change is how everything is written: fn writes rows and records what it
// changed, in the transaction of ctx or one of its own. The actor must hold the
// permission for the business as a whole.
func (d *Directory) change(ctx context.Context, need access.Permission, fn func(ctx context.Context, w *write) error) error {
	if err := access.Require(ctx, need); err != nil {
		return err
	}
	return d.write(ctx, fn)
}

// changeIn is change for what happens in one organization: it is enough that
// the actor holds the permission there. Where there is no such organization, fn
// is given nil, for the sake of the other faults of the input.
func (d *Directory) changeIn(ctx context.Context, need access.Permission, in OrganizationRef,
	fn func(ctx context.Context, w *write, org *db.Organization) error,
) error {
	if _, err := access.Reach(ctx, need); err != nil {
		return err
	}
	return d.write(ctx, func(ctx context.Context, w *write) error {
		org, err := d.lockOrganization(ctx, w, need, in, "input.organization")
		if err != nil {
			return err
		}
		return fn(ctx, w, org)
	})
}

// write runs fn and appends its record to the log of changes. All faults that fn
// has found are told at once.
func (d *Directory) write(ctx context.Context, fn func(ctx context.Context, w *write) error) error {
	return d.Atomically(ctx, func(ctx context.Context) error {
		return d.db.InTx(ctx, func(ctx context.Context, tx bun.Tx) error {
			actor := access.ActorOf(ctx)
			w := &write{Tx: tx, actor: actor, record: changes.NewRecord(actor.String(), time.Time{})}
			if err := w.readClock(ctx); err != nil {
				return err
			}
			if err := fn(ctx, w); err != nil {
				return db.Problem(err)
			}
			if err := w.faults.Err(); err != nil {
				return err
			}
			if err := w.keepAdministrator(ctx); err != nil {
				return err
			}
			if err := w.record.Append(ctx, tx); err != nil {
				return err
			}
			done := ctx.Value(writtenKey{}).(*written)
			done.last, done.at = w.record.Changes(), w.at
			done.changes = append(done.changes, done.last...)
			return nil
		})
	})
}

// readClock sets the moment of the write: by the database's clock, since servers
// differ, and not that of the transaction's start, since a document's later
// fields happen after its earlier ones. Who waited for a lock reads it again,
// lest the write seems to come before what it waited for.
func (w *write) readClock(ctx context.Context) error {
	if err := w.NewRaw("select clock_timestamp()").Scan(ctx, &w.at); err != nil {
		return err
	}
	w.at = w.at.UTC()
	w.record.Date(w.at)
	return nil
}

// hash is what is stored of a secret: enough to recognise it, since secrets are
// random and long.
func hash(key secret.Text) []byte {
	sum := sha256.Sum256([]byte(key.Reveal()))
	return sum[:]
}
