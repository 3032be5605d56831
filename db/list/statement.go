package list

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"roster/db"
)

// Statement is the text of a prepared statement and its arguments.
type Statement struct {
	name string
	text strings.Builder
	args []any
	// planned is set if the best plan depends on the arguments.
	planned bool
}

// NewStatement returns an empty statement. Its errors begin with the name. The
// text may refer to the arguments as $1, $2, …; whatever is added later brings its
// own.
func NewStatement(name string, args ...any) *Statement { return &Statement{name: name, args: args} }

// Add appends text, in which each ? stands for one of the arguments.
func (s *Statement) Add(text string, args ...any) *Statement {
	for {
		before, after, found := strings.Cut(text, "?")
		s.text.WriteString(before)
		if !found {
			return s
		}
		s.args = append(s.args, args[0])
		args = args[1:]
		s.text.WriteByte('$')
		s.text.WriteString(strconv.Itoa(len(s.args)))
		text = after
	}
}

// Clause is a part of a statement: text, in which each ? stands for one argument.
type Clause struct {
	Text string
	Args []any
	// planned is set if the best plan depends on how many rows the arguments leave.
	planned bool
}

// Where returns a condition which leaves about as many rows whatever its arguments
// are.
func Where(text string, args ...any) Clause { return Clause{Text: text, Args: args} }

// Filter returns a condition which may leave nearly all rows or nearly none,
// depending on its arguments, such as on whether a word is a rare one. A statement
// with a filter is planned for the arguments at hand.
func Filter(text string, args ...any) Clause { return Clause{Text: text, Args: args, planned: true} }

// Append appends a clause.
func (s *Statement) Append(c Clause) *Statement {
	s.planned = s.planned || c.planned
	return s.Add(c.Text, c.Args...)
}

// Where appends a where clause: all of the conditions must hold.
func (s *Statement) Where(conditions ...Clause) *Statement {
	for i, c := range conditions {
		if i == 0 {
			s.Add(" where (")
		} else {
			s.Add(" and (")
		}
		s.Append(c).Add(")")
	}
	return s
}

// Shared returns the text of a where clause that may be added several times: its
// arguments are passed once.
func (s *Statement) Shared(conditions ...Clause) string {
	part := Statement{args: s.args, planned: s.planned}
	part.Where(conditions...)
	s.args, s.planned = part.args, part.planned
	return part.text.String()
}

// Select runs the statement and scans each row into a T, as db.Select does.
func Select[T any](ctx context.Context, d *db.DB, s *Statement) ([]T, error) {
	run := db.Select[T]
	if s.planned {
		run = db.SelectPlanned[T]
	}
	rows, err := run(ctx, d, s.text.String(), s.args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return rows, nil
}

// SelectOne is Select for at most one row. It returns nil if there is none.
func SelectOne[T any](ctx context.Context, d *db.DB, s *Statement) (*T, error) {
	rows, err := Select[T](ctx, d, s)
	switch {
	case err != nil || len(rows) == 0:
		return nil, err
	case len(rows) > 1:
		return nil, fmt.Errorf("%s: more than one row", s.name)
	}
	return &rows[0], nil
}
