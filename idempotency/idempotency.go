// Package idempotency keeps the first answer to a request, for a client that sends
// it again because it did not hear the answer
// (draft-ietf-httpapi-idempotency-key-header).
//
// The answer is kept in the transaction of the request, so that there is an answer if
// and only if there is an effect (docs/decisions/0002):
//
//	a request ── NewRequest ──▶ First, in a transaction ──▶ run, and keep its answer
//	the same, again ──────────▶ First ──▶ the answer that was kept
//
// Begin with First. The caller runs the transaction. Sweep deletes old answers.
package idempotency

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"roster/db"
	"roster/problem"
)

const (
	// MaxAnswer is the size of the largest answer that is kept, in bytes.
	MaxAnswer = 1 << 20
	// overhead is what an answer takes besides its text, in bytes.
	overhead = 256
)

// maxKept is how much is kept for one credential within 24 hours, in bytes; tests
// have less.
var maxKept = 64 << 20

// Answer is the answer to a request.
type Answer struct {
	Text []byte
	// Kept is the revision of the transaction that answered before. It is 0 if the
	// answer is new.
	Kept db.Revision
}

// First returns the first answer to the request within the last 24 hours. If there
// is none, it calls run, and keeps what it returns. Both happen in the transaction
// of ctx, which is to be rolled back if First fails: then nothing has happened, and
// the next request runs. While another transaction answers the same request, First
// waits.
//
// run returns the answer, and whether anything was changed. If not, nothing is
// kept: the same request may simply run again.
//
// It returns ErrOtherRequest if the key belongs to another request, ErrErased if
// the answer has named a user who was deleted since, and LIMITED if the answer is
// larger than MaxAnswer, or the client has used up what is kept for it.
func First(ctx context.Context, d *db.DB, r *Request, run func() (text []byte, changed bool, err error)) (Answer, error) {
	kept, err := claim(ctx, d, r)
	if err != nil {
		return Answer{}, fmt.Errorf("idempotency: %w", err)
	}
	if kept != nil && kept.Sealed == nil {
		return Answer{}, ErrErased
	}
	if kept != nil {
		text, err := r.open(kept.Sealed)
		return Answer{Text: text, Kept: kept.XID}, err
	}
	text, changed, err := run()
	if err != nil {
		return Answer{}, err
	}
	if !changed {
		return Answer{Text: text}, release(ctx, d, r)
	}
	return Answer{Text: text}, keep(ctx, d, r, text)
}

// keptAnswer is an answer on record.
type keptAnswer struct {
	Sealed []byte
	XID    db.Revision `bun:"xid"`
}

// claimText claims a name for this transaction, unless the name has an answer that has
// not expired. While another transaction has the name, the statement waits for that one
// to end.
const claimText = `
insert into kept_answers as kept (name) values ($1)
on conflict (name) do update set at = excluded.at, xid = excluded.xid, sealed = null, owner = null, size = 0
	where kept.at < statement_timestamp() - interval '24 hours'
returning true`

// claim takes the name of the request and returns nil, or returns the answer that
// the name has.
func claim(ctx context.Context, d *db.DB, r *Request) (*keptAnswer, error) {
	mine, err := db.SelectOne[bool](ctx, d, claimText, r.name[:])
	if err != nil || mine != nil {
		return nil, err
	}
	kept, err := db.SelectOne[keptAnswer](ctx, d, "select sealed, xid from kept_answers where name = $1", r.name[:])
	if err == nil && kept == nil {
		err = fmt.Errorf("the answer %x… was there, and is gone", r.name[:4])
	}
	return kept, err
}

func keep(ctx context.Context, d *db.DB, r *Request, answer []byte) error {
	if len(answer) > MaxAnswer {
		return problem.New(problem.Limited,
			"The answer has %d bytes; with an Idempotency-Key, at most %d are allowed. Ask for less of what was changed.", len(answer), MaxAnswer)
	}
	sealed := r.seal(answer)
	kept, err := db.SelectOne[bool](ctx, d, keepText, r.name[:], sealed, r.owner[:], len(sealed)+overhead, maxKept)
	switch {
	case err != nil:
		return fmt.Errorf("idempotency: %w", err)
	case kept == nil:
		return problem.New(problem.Limited, "The answers of the last 24 hours that are kept for this credential take %d MiB, as much as is allowed. "+
			"Ask for less of what was changed, or send no Idempotency-Key.", maxKept>>20)
	}
	return nil
}

// keepText keeps the answer of a name, if there is room for it.
const keepText = `
update kept_answers set sealed = $2, owner = $3, size = $4
where name = $1 and $4 + (select coalesce(sum(size), 0) from kept_answers
	where owner = $3 and at >= statement_timestamp() - interval '24 hours') <= $5
returning true`

// release frees the name of the request.
func release(ctx context.Context, d *db.DB, r *Request) error {
	_, err := db.SelectOne[bool](ctx, d, "delete from kept_answers where name = $1 returning true", r.name[:])
	if err != nil {
		return fmt.Errorf("idempotency: %w", err)
	}
	return nil
}

// eraseText empties the answers of transactions that have changed a user, or a
// membership or an API key of the user.
const eraseText = `
update kept_answers k set sealed = null, size = 0
where sealed is not null and exists (select from changes c
	where c.xid = k.xid and (c.subject = $1 or c.before->>'userId' = $1 or c.after->>'userId' = $1))
returning true`

// Erase empties the answers to documents that have changed the user. It is for the
// transaction of ctx, which erases the user. The requests stay known: they do not
// happen again.
func Erase(ctx context.Context, d *db.DB, user db.UserID) error {
	_, err := db.Select[bool](ctx, d, eraseText, user.String())
	if err != nil {
		return fmt.Errorf("idempotency: %w", err)
	}
	return nil
}

// sweepEvery is the time between deletions of old answers. An answer does not count any
// more as soon as it is too old, even before it is deleted.
const sweepEvery = time.Hour

// Sweep deletes answers that are too old to be of use, now and then, until ctx ends.
// Servers that sweep at the same time share the work.
func Sweep(ctx context.Context, d *db.DB, log *slog.Logger) {
	next := time.NewTicker(sweepEvery)
	defer next.Stop()
	for ctx.Err() == nil {
		if err := forget(ctx, d); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "old answers are not thrown away", slog.Any("cause", err))
		}
		select {
		case <-next.C:
		case <-ctx.Done():
		}
	}
}

const forgetText = `
delete from kept_answers where name in (select name from kept_answers
	where at < statement_timestamp() - interval '24 hours' order by at limit 1000 for update skip locked)
returning true`

func forget(ctx context.Context, d *db.DB) error {
	for {
		gone, err := db.Select[bool](ctx, d, forgetText)
		if err != nil || len(gone) == 0 {
			return err
		}
	}
}
