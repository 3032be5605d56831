// Package list reads lists out of the database, one page at a time.
//
// A Query is a list of rows: a table, conditions and an Order. Its Page method
// checks what the client asked for, finds the beginning of the page by an index,
// however far into the list it is, and returns a Connection: the rows, a cursor
// for each, and the number of all rows, which is counted only if somebody asks.
//
// ByParent does the same for the lists of several parents by one statement, Slice
// for a list in memory, and Source for whatever else can be read in order.
// Statement is what all of them are written with.
//
// The package knows rows and SQL. Which rows somebody may see is a condition that
// the caller adds.
package list

import (
	"context"
	"strings"
	"sync"

	"github.com/google/uuid"

	"roster/db"
)

// Query is a list of the rows of a table.
type Query[T any] struct {
	// Name begins the cursors of the list, and the errors of its statements.
	Name string
	// From is the table, with its alias.
	From, Alias string
	// Columns are the columns to read, without the alias.
	Columns    []string
	Conditions []Clause
	Key        Key[T]
	Descending bool
	ID         func(*T) uuid.UUID
}

// Key is what the rows of a table are sorted by: an expression, and the id among
// equals.
type Key[T any] struct {
	// Name distinguishes the cursors of this order from those of others.
	Name string
	// Expression is what the database sorts by; an index has the same.
	Expression string
	// Column must have been read for Value, which returns the text of the expression.
	Column string
	Type   Type
	Value  func(*T) string
}

// Page reads one page of the list. It returns INVALID for a page that cannot be
// asked for.
func (q Query[T]) Page(ctx context.Context, d *db.DB, page Page) (*Connection[T], error) {
	return Source[T]{
		Name: q.Name + "." + q.Key.Name, Type: q.Key.Type,
		Read:   func(ctx context.Context, s Span) ([]*T, error) { return q.read(ctx, d, s) },
		Cursor: func(row *T) Cursor { return Cursor{Value: q.Key.Value(row), ID: q.ID(row)} },
		Count:  Lazily(func(ctx context.Context) (int, error) { return q.count(ctx, d) }),
	}.Page(ctx, page)
}

func (q Query[T]) read(ctx context.Context, d *db.DB, s Span) ([]*T, error) {
	order := Order{Name: q.Key.Name, Expression: q.Key.Expression, Tie: q.Alias + ".id", Type: q.Key.Type, Descending: q.Descending}
	rows, err := Select[T](ctx, d, NewStatement(q.Name).Add("select "+q.selected()+" from "+q.From).
		Where(append(order.Keyset(s), q.Conditions...)...).Add(order.Limited(s)))
	if err != nil {
		return nil, err
	}
	nodes := make([]*T, len(rows))
	for i := range rows {
		nodes[i] = &rows[i]
	}
	return nodes, nil
}

func (q Query[T]) count(ctx context.Context, d *db.DB) (int, error) {
	n, err := SelectOne[int](ctx, d, NewStatement(q.Name).Add("select count(*) from "+q.From).Where(q.Conditions...))
	if err != nil {
		return 0, err
	}
	return *n, nil
}

// selected returns the columns to read: the ones asked for, and the one that the
// order needs.
func (q Query[T]) selected() string {
	columns := make([]string, 0, len(q.Columns)+1)
	sortColumn := q.Key.Column
	for _, column := range q.Columns {
		if column == sortColumn {
			sortColumn = ""
		}
		columns = append(columns, q.Alias+"."+column)
	}
	if sortColumn != "" {
		columns = append(columns, q.Alias+"."+sortColumn)
	}
	return strings.Join(columns, ", ")
}

// Lazily returns a function that calls ask once and remembers the answer, for what
// is worth a statement only if somebody wants it, such as the length of a list.
func Lazily[T any](ask func(ctx context.Context) (T, error)) func(ctx context.Context) (T, error) {
	var once sync.Once
	var answer T
	var err error
	return func(ctx context.Context) (T, error) {
		once.Do(func() { answer, err = ask(ctx) })
		return answer, err
	}
}
