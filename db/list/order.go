package list

import "strconv"

// OrderField names what a list is sorted by.
type OrderField string

// Direction is the direction in which a list is sorted.
type Direction string

// The directions.
const (
	Ascending  Direction = "ASC"
	Descending Direction = "DESC"
)

// Order sorts the rows of a statement: by an expression, and by an id among equals.
type Order struct {
	// Name distinguishes the cursors of this order from those of others.
	Name string
	// Expression is what the database sorts by, and Tie the id; an index has both.
	Expression, Tie string
	Type            Type
	Descending      bool
}

// Keyset returns the conditions that skip what lies outside the span. An index
// finds its beginning, however far into the list it is.
func (o Order) Keyset(s Span) []Clause {
	return s.Conditions(o.Descending, func(c *Cursor, compare string) Clause {
		return Where("("+o.Expression+", "+o.Tie+") "+compare+" (?::text::"+string(o.Type)+", ?::uuid)", c.Value, c.ID.String())
	})
}

// Limited returns the end of a statement that reads the span: the order of
// reading, and one row more than the page holds, to see whether there are more.
func (o Order) Limited(s Span) string {
	return " order by " + o.terms(s) + " limit " + strconv.Itoa(s.Limit+1)
}

// terms returns the order of reading, which is backward for a page of the last rows.
func (o Order) terms(s Span) string {
	direction := ""
	if o.Descending != s.Backward {
		direction = " desc"
	}
	return o.Expression + direction + ", " + o.Tie + direction
}
