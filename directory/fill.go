package directory

import (
	"context"

	"roster/db"
)

// FillEmpty runs fill if there are no users yet, and reports whether it did. What
// fill writes becomes visible at once, or not at all; servers that start at the same
// time fill the database once.
func (d *Directory) FillEmpty(ctx context.Context, fill func(ctx context.Context) error) (filled bool, err error) {
	err = d.Writer.Atomically(ctx, func(ctx context.Context) error {
		if err := d.takeTurn(ctx); err != nil {
			return err
		}
		users, err := db.Select[int](ctx, d.db, "select 1 from users limit 1")
		if err != nil || len(users) > 0 {
			return err
		}
		filled = true
		return fill(ctx)
	})
	return filled && err == nil, err
}
