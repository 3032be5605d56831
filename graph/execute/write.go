package execute

import (
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// writer appends the answer to a buffer. Its methods that write a value return
// false if the value is null although the schema forbids it. They have written
// nothing then, and the surrounding value must be null.
type writer struct {
	buf []byte
	// max is how long buf may become, and 0 if there is no bound. Beyond it, whatever is
	// missing is left out: nobody will see the answer.
	max    int
	path   []step
	faults []fault
}

// step is an element of the path in the answer: the name of a field, or an index
// if the name is empty.
type step struct {
	name  string
	index int
}

// isFull reports whether the answer has become too long.
func (w *writer) isFull() bool { return w.max > 0 && len(w.buf) > w.max }

func (w *writer) object(g *group, parent int) bool {
	start := len(w.buf)
	w.buf = append(w.buf, '{')
	for i, n := range g.selection.fields {
		if w.isFull() {
			break
		}
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.buf = append(w.buf, n.key...)
		if !w.field(g, i, parent) {
			w.buf = w.buf[:start]
			return false
		}
	}
	w.buf = append(w.buf, '}')
	return true
}

func (w *writer) field(g *group, i, parent int) bool {
	n, o := g.selection.fields[i], g.selection.object
	if n.field == nil {
		w.buf = append(w.buf, o.typename...)
		return true
	}
	w.path = append(w.path, step{name: n.name})
	var ok bool
	if n.field.Value != nil {
		start := len(w.buf)
		w.buf = n.field.Value(w.buf, g.parents[parent])
		ok = w.leaf(o, n, start)
	} else {
		ok = w.column(&g.columns[i], parent)
	}
	w.path = w.path[:len(w.path)-1]
	return ok
}

// leaf checks the scalar that begins at start for a forbidden null.
func (w *writer) leaf(o *Object, n *node, start int) bool {
	if !n.field.Type.NonNull || string(w.buf[start:]) != "null" {
		return true
	}
	w.buf = w.buf[:start]
	w.invalidNull(o, n, n.field.Type)
	return false
}

// column writes the result for one parent.
func (w *writer) column(c *Column, parent int) bool {
	switch err := c.errorOf(parent); {
	case err != nil:
		w.report(c, err)
		return w.null(c.node.field.Type)
	case c.write == nil:
		return w.value(c, c.starts[parent], c.node.field.Type)
	default:
		start := len(w.buf)
		w.buf = c.write(w.buf, parent)
		return w.leaf(c.owner, c.node, start)
	}
}

// value writes the cell at i, which is of type t.
func (w *writer) value(c *Column, i int32, t *ast.Type) bool {
	switch cell := c.cells[i]; {
	case cell.kind == list:
		return w.list(c, i, t) || w.null(t)
	case cell.kind >= 0:
		return w.object(c.groups[cell.kind], int(cell.at)) || w.null(t)
	case !t.NonNull:
		return w.null(t)
	case t.Elem != nil:
		w.buf = append(w.buf, "[]"...)
		return true
	default:
		w.invalidNull(c.owner, c.node, t)
		return false
	}
}

func (w *writer) list(c *Column, i int32, t *ast.Type) bool {
	start, end := len(w.buf), c.cells[i].at
	w.buf = append(w.buf, '[')
	depth := len(w.path)
	for index, at := 0, i+1; at < end && !w.isFull(); index, at = index+1, c.after(at) {
		if index > 0 {
			w.buf = append(w.buf, ',')
		}
		w.path = append(w.path[:depth], step{index: index})
		if !w.value(c, at, t.Elem) {
			w.buf, w.path = w.buf[:start], w.path[:depth]
			return false
		}
	}
	w.path = w.path[:depth]
	w.buf = append(w.buf, ']')
	return true
}

// null writes null if type t allows it.
func (w *writer) null(t *ast.Type) bool {
	if t.NonNull {
		return false
	}
	w.buf = append(w.buf, "null"...)
	return true
}

// report records the error of a column, only once if it concerns all parents.
func (w *writer) report(c *Column, err error) {
	if c.errs == nil {
		if c.reported {
			return
		}
		c.reported = true
	}
	w.fault(c.owner, c.node, err)
}

func (w *writer) invalidNull(o *Object, n *node, t *ast.Type) {
	w.fault(o, n, &graphql.InvalidNullError{
		Object: o.Name, Field: n.field.Name, DeclaredType: t.String(),
		ListElement: w.path[len(w.path)-1].name == "",
	})
}
