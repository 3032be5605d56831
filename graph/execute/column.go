package execute

import "slices"

// group is all objects of one concrete type at one place of the document.
type group struct {
	selection *selection
	parents   []any    // pointers to the objects
	columns   []Column // one for each field selected; unused by those with Value
}

// newGroup makes a group that is expected to get so many parents or more.
func newGroup(s *selection, parents int) *group {
	return &group{s, make([]any, 0, parents), make([]Column, len(s.fields))}
}

// Column is one selected field of one group: what it yields for each parent.
type Column struct {
	node   *node
	plan   *plan
	owner  *Object // the type of the parents
	object *Object // the type of the children; nil when it is abstract

	// A parent's result is a tree of cells, or of lists whose leaves only
	// write can tell.
	starts []int32
	cells  []cell
	groups []*group
	write  func(b []byte, parent int) []byte

	err      error   // concerns every parent
	errs     []error // one for each parent, or none at all
	reported bool    // err has been
}

// cell is a null, a list, or an object.
type cell struct {
	kind int32 // null, list, or the number of the object's group
	at   int32 // list: where in the cells it ends; object: its place in the group
}

const (
	null int32 = -1
	list int32 = -2
)

// fail drops whatever was loaded: the column has nothing but an error.
func (c *Column) fail(err error) {
	c.groups, c.errs, c.err = nil, nil, err
}

// errorOf gives the error that stands in place of the parent's result.
func (c *Column) errorOf(parent int) error {
	if c.errs != nil {
		return c.errs[parent]
	}
	return c.err
}

// after gives the place of the cell that follows the whole of the one at i.
func (c *Column) after(i int32) int32 {
	if c.cells[i].kind == list {
		return c.cells[i].at
	}
	return i + 1
}

func (c *Column) addNull() {
	c.cells = append(c.cells, cell{kind: null})
}

// addObject appends an object of type o to the group of its type.
func (c *Column) addObject(o *Object, v any) {
	kind := 0
	for kind < len(c.groups) && c.groups[kind].selection.object != o {
		kind++
	}
	if kind == len(c.groups) {
		c.groups = append(c.groups, newGroup(c.plan.under(c.node, o), len(c.starts)))
	}
	g := c.groups[kind]
	c.cells = append(c.cells, cell{int32(kind), int32(len(g.parents))})
	g.parents = append(g.parents, v)
}

// expect makes room for so many more results like the first one.
func (c *Column) expect(results int) {
	results = min(results, 1000) // a guess: it must not cost much when it is wrong
	c.cells = slices.Grow(c.cells, results*len(c.cells))
	for _, g := range c.groups {
		g.parents = slices.Grow(g.parents, results*len(g.parents))
	}
}

// The functions below are put together by generated code to say of what shape
// the results of a field are.

// Results stores what a field yielded, one result for each parent, in order.
type Results[T any] func(c *Column, results []T)

// Leaf is for results that are scalars, enums or lists of these.
func Leaf[T any](write func(b []byte, v T) []byte) Results[T] {
	return func(c *Column, results []T) {
		c.write = func(b []byte, parent int) []byte { return write(b, results[parent]) }
	}
}

// Composite is for results that are objects or lists of objects.
func Composite[T any](add func(c *Column, v T)) Results[T] {
	return func(c *Column, results []T) {
		c.starts = make([]int32, len(results))
		c.cells = make([]cell, 0, len(results))
		for i, v := range results {
			c.starts[i] = int32(len(c.cells))
			add(c, v)
			if i == 0 {
				c.expect(len(results) - 1)
			}
		}
	}
}

// Pointer adds an object which is held by a pointer; nil is null.
func Pointer[T any](c *Column, v *T) {
	if v == nil {
		c.addNull()
		return
	}
	c.addObject(c.object, v)
}

// Struct adds an object which is held as a value, of which it makes a copy.
func Struct[T any](c *Column, v T) {
	c.addObject(c.object, &v)
}

// Abstract adds an object which is held by an interface. identify tells the
// name of its object type, and gives the pointer to it; no name is null.
func Abstract[T any](identify func(v any) (string, any)) func(*Column, T) {
	return func(c *Column, v T) {
		name, pointer := identify(v)
		if name == "" {
			c.addNull()
			return
		}
		c.addObject(c.plan.schema.objects[name], pointer)
	}
}

// Elements adds a list; nil is null, or an empty list where null may not be.
func Elements[T any](add func(c *Column, v T)) func(*Column, []T) {
	return func(c *Column, elements []T) {
		if elements == nil {
			c.addNull()
			return
		}
		start := len(c.cells)
		c.cells = append(c.cells, cell{kind: list})
		for _, v := range elements {
			add(c, v)
		}
		c.cells[start].at = int32(len(c.cells))
	}
}
