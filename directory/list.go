package directory

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// order is one way to sort a list: by an expression, and by id among equals.
type order[T any] struct {
	// name tells the order's cursors from those of others.
	name string
	// expression is what the database sorts by; an index has the same.
	expression string
	// column is the one that value needs to have been read.
	column string
	// cast makes the expression's type of a cursor's text.
	cast  string
	value func(*T) string
}

// list is a query for one page of rows.
type list[T any] struct {
	name, from, alias string
	columns           []string
	conditions        []condition
	order             order[T]
	descending        bool
	id                func(*T) uuid.UUID
}

// page reads one page of the list.
func (l list[T]) page(ctx context.Context, d *Directory, page Page) (*Connection[T], error) {
	name := l.name + "." + l.order.name
	s, err := page.check(name, l.order.cast)
	if err != nil {
		return nil, err
	}
	var q statement
	q.add("select " + l.selected() + " from " + l.from).where(append(keyset(l.order.expression, l.alias+".id", l.order.cast, l.descending, s), l.conditions...)).add(sorted(l.order.expression, l.alias+".id", l.descending, s))
	read, err := rows[T](ctx, d, &q)
	if err != nil {
		return nil, err
	}
	nodes := make([]*T, len(read))
	for i := range read {
		nodes[i] = &read[i]
	}
	position := func(row *T) string { return cursor{l.order.value(row), l.id(row)}.encode(name) }
	return newConnection(s, nodes, position, lazily(func(ctx context.Context) (int, error) { return l.count(ctx, d) })), nil
}

// count counts the rows of the whole list.
func (l list[T]) count(ctx context.Context, d *Directory) (int, error) {
	var q statement
	q.add("select count(*) from " + l.from).where(l.conditions)
	n, err := rows[int](ctx, d, &q)
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// selected are the columns to read: those asked for, and what the order needs.
func (l list[T]) selected() string {
	columns := make([]string, 0, len(l.columns)+1)
	sortColumn := l.order.column
	for _, column := range l.columns {
		if column == sortColumn {
			sortColumn = ""
		}
		columns = append(columns, l.alias+"."+column)
	}
	if sortColumn != "" {
		columns = append(columns, l.alias+"."+sortColumn)
	}
	return strings.Join(columns, ", ")
}

// keyset are the conditions that skip what lies before the page: an index finds
// its beginning, however far into the list it is.
func keyset(expression, id, cast string, descending bool, s span) []condition {
	behind, before := ">", "<"
	if descending {
		behind, before = before, behind
	}
	var conditions []condition
	for _, at := range []struct {
		cursor  *cursor
		compare string
	}{{s.after, behind}, {s.before, before}} {
		if at.cursor != nil {
			conditions = append(conditions, where("("+expression+", "+id+") "+at.compare+" (?::text::"+cast+", ?::uuid)",
				at.cursor.value, at.cursor.id.String()))
		}
	}
	return conditions
}

// sorted is the end of a list's statement: the order of reading, and one row
// more than the page holds, to see whether there are more.
func sorted(expression, id string, descending bool, s span) string {
	return " order by " + ordered(expression, id, descending, s) + " limit " + strconv.Itoa(s.limit+1)
}

// ordered is the order of reading, which is backward for a page of last ones.
func ordered(expression, id string, descending bool, s span) string {
	direction := ""
	if descending != s.backward {
		direction = " desc"
	}
	return expression + direction + ", " + id + direction
}
