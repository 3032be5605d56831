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

// MaxAnswer is the size of the largest answer that is kept, in bytes.
const MaxAnswer = 1 << 20

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
// It returns ErrOtherRequest if the key belongs to another request, and LIMITED if
// the answer is larger than MaxAnswer.
func First(ctx context.Context, d *db.DB, r *Request, run func() ([]byte, error)) (Answer, error) {
	kept, err := claim(ctx, d, r)
	if err != nil {
		return Answer{}, fmt.Errorf("idempotency: %w", err)
	}
	if kept != nil {
		text, err := r.open(kept.Sealed)
		return Answer{Text: text, Kept: kept.XID}, err
	}
	text, err := run()
	if err != nil {
		return Answer{}, err
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
on conflict (name) do update set at = excluded.at, xid = excluded.xid, sealed = null
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
	_, err := db.SelectOne[bool](ctx, d, "update kept_answers set sealed = $2 where name = $1 returning true", r.name[:], r.seal(answer))
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
