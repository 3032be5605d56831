package directory

import (
	"context"
	"database/sql"
	"reflect"

	"github.com/uptrace/bun"

	"roster/changes"
	"roster/db"
)

// insert writes a new row; see store.
func (w *write) insert(ctx context.Context, row db.Unique) error {
	insert := func() *bun.InsertQuery { return w.NewInsert().Model(row) }
	return w.store(ctx, row, insert().On("conflict do nothing"), insert())
}

// update writes a row that was edited, if that made a difference, and records
// the action with the values that changed. touch sets version and time. See
// store.
func (w *write) update(ctx context.Context, row db.Unique, action changes.Action, subject string, before any, touch func()) error {
	return w.updateAs(ctx, row, action, subject, before, row, touch)
}

// updateAs is update, except that it records other values than the ones of the row.
func (w *write) updateAs(ctx context.Context, row db.Unique, action changes.Action, subject string, before, after any, touch func()) error {
	if reflect.DeepEqual(reflect.ValueOf(before).Elem().Interface(), reflect.ValueOf(row).Elem().Interface()) {
		return w.faults.Err()
	}
	touch()
	if err := w.save(ctx, row); err != nil {
		return err
	}
	return w.Record(action, subject, nil, before, after)
}

// save writes a row that was edited; see store.
func (w *write) save(ctx context.Context, row db.Unique) error {
	update := func() *bun.UpdateQuery { return w.NewUpdate().Model(row).WherePK() }
	guarded := update()
	if taken, args := row.Claims().Taken(); taken != "" {
		guarded.Where("not exists ("+taken+")", args...)
	}
	return w.store(ctx, row, guarded, update())
}

// rowStatement is an insert or update of bun's.
type rowStatement interface {
	Exec(ctx context.Context, dest ...any) (sql.Result, error)
}

// store runs a statement that writes the row, unless there are faults already.
// The guarded statement writes nothing if another row has one of the values that
// must be unique; store then adds all of these to the faults. If no other row has them
// any more, it runs the plain statement.
func (w *write) store(ctx context.Context, row db.Unique, guarded, plain rowStatement) error {
	if len(*w.faults.List) == 0 {
		result, err := guarded.Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n > 0 || err != nil {
			return err
		}
	}
	if err := w.findTaken(ctx, row); err != nil {
		return err
	}
	if err := w.faults.Err(); err != nil {
		return err
	}
	_, err := plain.Exec(ctx)
	return err
}

// findTaken adds a fault for each value of the row that must be unique but belongs to
// another row.
func (w *write) findTaken(ctx context.Context, row db.Unique) error {
	claims := row.Claims()
	for i, claim := range claims.Values {
		if claim.Value != nil && !db.Storable(*claim.Value) {
			claims.Values[i].Value = nil // no row can have it
		}
	}
	text, args := claims.Taken()
	if text == "" {
		return nil
	}
	var broken []string
	if err := w.NewRaw(text, args...).Scan(ctx, &broken); err != nil {
		return err
	}
	for _, constraint := range broken {
		*w.faults.List = append(*w.faults.List, db.Refused(constraint))
	}
	return nil
}
