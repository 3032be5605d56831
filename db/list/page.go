package list

import (
	"context"
	"slices"

	"roster/problem"
)

// The sizes of pages, in nodes: without being asked, and the largest that may be
// asked for.
const (
	DefaultSize = 20
	MaxSize     = 100
)

// Page asks for one part of a list, as Relay's cursor connections do: the first
// nodes after a cursor, or the last ones before one.
type Page struct {
	First, Last   *int
	After, Before *string
}

// Span is a Page that was checked against the list it is for.
type Span struct {
	// Limit is how many nodes the page holds at most. To find out whether there are
	// more, one more is read.
	Limit int
	// Backward is set for a page of the last nodes: they are read from the end.
	Backward bool
	// After and Before are nil at the ends of the list.
	After, Before *Cursor
}

// check returns the span that the page is in the list, whose cursors hold values
// of the type. All faults of the page are returned together.
func (p Page) check(list string, of Type) (Span, error) {
	var faults problem.List
	s := Span{Limit: DefaultSize, Backward: p.Last != nil}
	if p.First != nil && p.Last != nil {
		faults.Add(problem.Invalid, "last", "Ask for first or for last, not for both.")
	}
	for name, size := range map[string]*int{"first": p.First, "last": p.Last} {
		if size == nil {
			continue
		}
		if *size < 1 || *size > MaxSize {
			faults.Add(problem.Invalid, name, "%s must be from 1 to %d.", name, MaxSize)
		}
		s.Limit = *size
	}
	s.After = readCursor(&faults, "after", list, of, p.After)
	s.Before = readCursor(&faults, "before", list, of, p.Before)
	return s, faults.Err()
}

func readCursor(faults *problem.List, field, list string, of Type, text *string) *Cursor {
	if text == nil {
		return nil
	}
	c, ok := decodeCursor(list, *text)
	if !ok || !of.holds(c.Value) {
		faults.Add(problem.Invalid, field, "%s is not a cursor of this list.", field)
	}
	return c
}

// Conditions returns a condition for each cursor of the span. where makes them, from
// the operator by which a row of the span compares to the cursor.
func (s Span) Conditions(descending bool, where func(c *Cursor, compare string) Clause) []Clause {
	after, before := ">", "<"
	if descending {
		after, before = before, after
	}
	var conditions []Clause
	if s.After != nil {
		conditions = append(conditions, where(s.After, after))
	}
	if s.Before != nil {
		conditions = append(conditions, where(s.Before, before))
	}
	return conditions
}

// Source is a list that can be read from any cursor on.
type Source[T any] struct {
	// Name distinguishes the cursors of this list from those of others.
	Name string
	// Type is the type of the cursors' values.
	Type Type
	// Read returns the nodes of the span in the order of reading: Limit of them, and
	// one more if there is one.
	Read   func(ctx context.Context, s Span) ([]*T, error)
	Cursor func(*T) Cursor
	// Count returns the number of nodes in the whole list.
	Count func(ctx context.Context) (int, error)
}

// Page reads one page of the list. It returns INVALID for a page that cannot be
// asked for.
func (l Source[T]) Page(ctx context.Context, page Page) (*Connection[T], error) {
	s, err := page.check(l.Name, l.Type)
	if err != nil {
		return nil, err
	}
	nodes, err := l.Read(ctx, s)
	if err != nil {
		return nil, err
	}
	return newConnection(s, nodes, func(node *T) string { return l.Cursor(node).encode(l.Name) }, l.Count), nil
}

// Slice returns one page of a list that is in memory, ordered by its cursors.
func Slice[T any](ctx context.Context, name string, page Page, all []*T, cursor func(*T) Cursor) (*Connection[T], error) {
	return Source[T]{
		Name: name, Type: Text, Cursor: cursor,
		Read:  func(_ context.Context, s Span) ([]*T, error) { return slice(s, all, cursor), nil },
		Count: func(context.Context) (int, error) { return len(all), nil },
	}.Page(ctx, page)
}

func slice[T any](s Span, nodes []*T, cursor func(*T) Cursor) []*T {
	if s.After != nil {
		nodes = nodes[search(nodes, cursor, s.After, 1):]
	}
	if s.Before != nil {
		nodes = nodes[:search(nodes, cursor, s.Before, 0)]
	}
	nodes = slices.Clone(nodes)
	if s.Backward {
		slices.Reverse(nodes)
	}
	return nodes[:min(len(nodes), s.Limit+1)]
}

// search returns the index of the first node at the cursor or, if past is 1, behind
// it.
func search[T any](nodes []*T, cursor func(*T) Cursor, at *Cursor, past int) int {
	i, _ := slices.BinarySearchFunc(nodes, *at, func(node *T, at Cursor) int {
		if order := cursor(node).compare(at); order != 0 {
			return order
		}
		return -past
	})
	return i
}
