package directory

import (
	"context"

	"roster/changes"
	"roster/db"
	"roster/idempotency"
	"roster/problem"
)

// Idempotently is changes.Writer.Atomically for what must happen once however often the request
// comes: it runs fn and keeps the answer in the same transaction, or returns the
// answer that was kept within the last 24 hours.
//
// answer is called after fn has succeeded, with the revision that the commit will
// lead to, 0 if nothing was changed: then it is not kept, and the request may run
// again. Requests that come meanwhile wait. See
// idempotency.First for the errors.
func (d *Directory) Idempotently(ctx context.Context, r *idempotency.Request, fn func(context.Context) error, answer func(db.Revision) []byte) ([]byte, error) {
	var first idempotency.Answer
	err := d.Writer.Atomically(ctx, func(ctx context.Context) (err error) {
		first, err = idempotency.First(ctx, d.db, r, func() (text []byte, changed bool, err error) {
			if err := fn(ctx); err != nil {
				return nil, false, err
			}
			revision := changes.WrittenIn(ctx).Revision()
			return answer(revision), revision != 0, nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if first.Kept == 0 {
		return first.Text, nil
	}
	// A kept answer acknowledges a write, now also for this server, which must not
	// answer by anything older. If it cannot find out in time, it has stopped
	// answering from memory by then.
	if err := d.feed.Wait(ctx, changes.Revision{}.With(first.Kept)); err != nil && !problem.Is(err, problem.Stale) {
		return nil, err
	}
	return first.Text, nil
}
