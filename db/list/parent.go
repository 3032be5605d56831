package list

import (
	"context"
	"slices"
	"sync"

	"roster/db"
)

// ByParent is one list for each of several parents, such as the members of each of
// twenty organizations. One statement reads a page of every list, however many
// there are, and one counts all of them. R is what is read of a row x, and T the
// node in it.
type ByParent[R, T any] struct {
	// Name begins the cursors of the lists, and the errors of their statements.
	Name string
	// Parents are the tables that have the parents p, with their numbers p.n from 1
	// on.
	Parents Clause
	// Number is how many parents there are.
	Number int
	// From adds the tables of one parent's list. within is the span that is read, or
	// nil if all rows are counted.
	From       func(q *Statement, within *Span)
	Conditions []Clause
	// Row is what is selected of From, and Columns, of it as x and of Joins, what is
	// read.
	Row, Columns, Joins string
	// Order is the order in From, and Sorted the same by the columns of x.
	Order, Sorted Order
	// Keyset returns the conditions that skip what lies outside the span, if
	// Order.Keyset does not know the best ones.
	Keyset func(Span) []Clause
	// Node and Parent return a row's node and the number of its parent.
	Node   func(*R) *T
	Parent func(*R) int
	Cursor func(*R) Cursor
	// Counted are the same lists in another form, of which the nodes are counted; nil
	// if there is none.
	Counted *ByParent[R, T]
}

// Page reads one page of each list, in the order of the parents. It returns the
// rows, too, for whatever was read along with the nodes.
func (l ByParent[R, T]) Page(ctx context.Context, d *db.DB, page Page) ([]*Connection[T], []R, error) {
	name := l.Name + "." + l.Order.Name
	s, err := page.check(name, l.Order.Type)
	if err != nil {
		return nil, nil, err
	}
	rows, err := l.read(ctx, d, s)
	if err != nil {
		return nil, nil, err
	}
	return l.connections(d, s, name, rows), rows, nil
}

func (l ByParent[R, T]) read(ctx context.Context, d *db.DB, s Span) ([]R, error) {
	keyset := l.Order.Keyset
	if l.Keyset != nil {
		keyset = l.Keyset
	}
	q := NewStatement(l.Name).Add("select " + l.Columns + " from ").Append(l.Parents).
		Add(" cross join lateral (select " + l.Row + " from ")
	l.From(q, &s)
	q.Where(slices.Concat(l.Conditions, keyset(s))...).
		Add(l.Order.Limited(s) + ") x" + l.Joins + " order by x.parent, " + l.Sorted.terms(s))
	return Select[R](ctx, d, q)
}

// connections deals the rows out to their parents.
func (l ByParent[R, T]) connections(d *db.DB, s Span, name string, rows []R) []*Connection[T] {
	rowOf := sync.OnceValue(func() map[*T]*R { return l.rowsByNode(rows) })
	cursor := func(node *T) string { return l.Cursor(rowOf()[node]).encode(name) }
	nodes := make([][]*T, l.Number)
	for i := range rows {
		parent := l.Parent(&rows[i]) - 1
		nodes[parent] = append(nodes[parent], l.Node(&rows[i]))
	}
	counts := Lazily(func(ctx context.Context) ([]int, error) { return l.counts(ctx, d) })
	all := make([]*Connection[T], l.Number)
	for i := range all {
		all[i] = newConnection(s, nodes[i], cursor, func(ctx context.Context) (int, error) {
			of, err := counts(ctx)
			if err != nil {
				return 0, err
			}
			return of[i], nil
		})
	}
	return all
}

func (l ByParent[R, T]) rowsByNode(rows []R) map[*T]*R {
	of := make(map[*T]*R, len(rows))
	for i := range rows {
		of[l.Node(&rows[i])] = &rows[i]
	}
	return of
}

// counts returns the number of all nodes of each parent.
func (l ByParent[R, T]) counts(ctx context.Context, d *db.DB) ([]int, error) {
	if l.Counted != nil {
		return l.Counted.counts(ctx, d)
	}
	q := NewStatement(l.Name).Add("select x.n from ").Append(l.Parents).
		Add(" cross join lateral (select count(*) as n from ")
	l.From(q, nil)
	return Select[int](ctx, d, q.Where(l.Conditions...).Add(") x order by p.n"))
}
