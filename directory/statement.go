package directory

import (
	"context"
	"strconv"
	"strings"

	"roster/db"
)

// statement is the text of a prepared statement and its arguments. In what is
// added each ? stands for one argument.
type statement struct {
	text strings.Builder
	args []any
	// planned is set when the best plan depends on the arguments.
	planned bool
}

func (s *statement) add(text string, args ...any) *statement {
	for {
		before, after, found := strings.Cut(text, "?")
		s.text.WriteString(before)
		if !found {
			break
		}
		s.args = append(s.args, args[0])
		args = args[1:]
		s.text.WriteByte('$')
		s.text.WriteString(strconv.Itoa(len(s.args)))
		text = after
	}
	return s
}

// condition is a part of a where clause.
type condition struct {
	text string
	args []any
	// planned says that the best plan depends on how many rows the arguments
	// leave: on whether a word is a rare one, for instance.
	planned bool
}

func where(text string, args ...any) condition { return condition{text: text, args: args} }

// filtered is a condition which may leave nearly all rows or nearly none.
func filtered(text string, args ...any) condition {
	return condition{text: text, args: args, planned: true}
}

// where adds the conditions, all of which must hold.
func (s *statement) where(conditions []condition) *statement {
	for i, c := range conditions {
		s.planned = s.planned || c.planned
		if i == 0 {
			s.add(" where (")
		} else {
			s.add(" and (")
		}
		s.add(c.text, c.args...).add(")")
	}
	return s
}

// shared gives the text of a where clause that may be added several times: its
// arguments are passed once.
func (s *statement) shared(conditions []condition) string {
	part := statement{args: s.args, planned: s.planned}
	part.where(conditions)
	s.args, s.planned = part.args, part.planned
	return part.text.String()
}

// rows runs the statement and scans its rows.
func rows[T any](ctx context.Context, d *Directory, s *statement) ([]T, error) {
	if s.planned {
		return db.SelectPlanned[T](ctx, d.db, s.text.String(), s.args...)
	}
	return db.Select[T](ctx, d.db, s.text.String(), s.args...)
}
