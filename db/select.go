package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun/schema"
)

// Select runs a prepared statement with arguments $1, $2, … and scans each row
// into a T, whose columns are found by name, or which is the only column; null
// is the zero value. It is the way to read: the connection keeps the statement
// and one plan for all values, so the text must not contain any.
//
// Outside a transaction, it runs the statement once more if its connection had
// died. Errors are as Problem returns them.
//
// It goes past database/sql, which would turn each value into text and back, and
// halves what a statement costs this server.
func Select[T any](ctx context.Context, d *DB, text string, args ...any) ([]T, error) {
	return selectFrom[T](ctx, d, d.pools.reads, text, args)
}

// SelectPlanned is Select with a plan for these values alone, which costs some 0.3 ms
// more. It is for statements whose best plan depends on the values: a plan for any
// search term would read all users to find the one with a rare name. In a transaction
// it is the same as Select.
func SelectPlanned[T any](ctx context.Context, d *DB, text string, args ...any) ([]T, error) {
	return selectFrom[T](ctx, d, d.pools.planning, text, args)
}

// SelectByIndex is Select for a statement that looks many values up in tables that may be new.
// PostgreSQL keeps the plan that it makes first, and would read all of a table that was empty
// then, however large it has become: it is told to use indexes.
func SelectByIndex[T any](ctx context.Context, d *DB, text string, args ...any) ([]T, error) {
	var all []T
	err := d.InSnapshot(ctx, func(ctx context.Context) error {
		var b Batch
		b.Exec("set local enable_seqscan = off")
		rows := Queue[T](&b, text, args...)
		b.Exec("set local enable_seqscan = on")
		err := d.Run(ctx, &b)
		all = rows.All
		return err
	})
	return all, err
}

func selectFrom[T any](ctx context.Context, d *DB, usual *pool, text string, args []any) (all []T, err error) {
	read := func(on querier) error {
		rows, _ := on.Query(ctx, text, args...) // rows reports the same error
		all, err = scan[T](d, rows)
		return err
	}
	if tx := txOf(ctx); tx != nil {
		err = tx.on(func(conn *pgx.Conn) error { return read(conn) })
		if outdated(err) {
			d.renew(ctx) // the transaction is lost, and runs again on another connection
		}
	} else {
		err = d.twice(ctx, func() error { return d.onConnection(ctx, d.poolOf(ctx, usual), read) })
	}
	return all, Problem(err)
}

// querier is a connection or a transaction on it.
type querier interface {
	Query(ctx context.Context, text string, args ...any) (pgx.Rows, error)
}

// onConnection runs fn on a connection of the pool. Behind a pooler it does so in a
// transaction, because there the limits end with it.
func (d *DB) onConnection(ctx context.Context, p *pool, fn func(on querier) error) error {
	conn, release, err := d.acquire(ctx, p)
	if err != nil {
		return err
	}
	defer release()
	if !d.Pooled() {
		return fn(conn)
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: "begin; " + d.connector.limit})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // which does nothing after a commit
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// SelectOne is Select for at most one row; nil if there is none. It returns an error if
// there are more.
func SelectOne[T any](ctx context.Context, d *DB, text string, args ...any) (*T, error) {
	all, err := Select[T](ctx, d, text, args...)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	if len(all) > 1 {
		return nil, errors.New("more than one row")
	}
	return &all[0], nil
}

// scan reads all rows and closes them.
func scan[T any](d *DB, rows pgx.Rows) (all []T, err error) {
	defer rows.Close()
	var targets []any
	var columns []*schema.Field
	for rows.Next() {
		if targets == nil {
			if columns, err = d.fieldsOf(reflect.TypeFor[T](), rows); err != nil {
				return nil, err
			}
			targets = make([]any, len(rows.FieldDescriptions()))
		}
		if len(all) == cap(all) {
			all = grow(all)
		}
		all = all[:len(all)+1]
		row := reflect.ValueOf(&all[len(all)-1]).Elem()
		for i, value := range rows.RawValues() {
			switch {
			case value == nil:
				targets[i] = nil // null leaves the field zero
			case columns == nil:
				targets[i] = row.Addr().Interface()
			case columns[i] == nil:
				targets[i] = nil // unknown columns are skipped
			default:
				targets[i] = target(columns[i].Value(row))
			}
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
	}
	return all, rows.Err()
}

// grow makes room for more rows. A few statements return one row, most return pages.
func grow[T any](all []T) []T {
	size := 2 * cap(all)
	switch {
	case size == 0:
		size = 1
	case size < 128:
		size *= 2
	}
	larger := make([]T, len(all), size)
	copy(larger, all)
	return larger
}

// fieldsOf returns the field of each column; nil if row is a single value rather than a
// struct with fields. The field is nil for a table's column that row does not have,
// because a newer Roster may have added it. Any other column without a field is a
// mistake in the statement, and an error.
func (d *DB) fieldsOf(row reflect.Type, rows pgx.Rows) ([]*schema.Field, error) {
	if row.Kind() != reflect.Struct || row == reflect.TypeFor[time.Time]() {
		return nil, nil
	}
	table := d.Table(row)
	described := rows.FieldDescriptions()
	fields := make([]*schema.Field, len(described))
	for i := range described {
		fields[i] = table.LookupField(described[i].Name)
		if fields[i] == nil && described[i].TableOID == 0 {
			return nil, fmt.Errorf("%v has no field for column %s", row, described[i].Name)
		}
	}
	return fields, nil
}

// target returns the pointer that pgx scans the value of a field into.
func target(field reflect.Value) any {
	pointer := field.Addr().Interface()
	if text, ok := pointer.(*json.RawMessage); ok {
		return (*[]byte)(text) // as it is, rather than decoded
	}
	return pointer
}
