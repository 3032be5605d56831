package execute

import (
	"cmp"
	"slices"
)

// group holds all objects of one concrete type at one position in the document.
type group struct {
	selection *selection
	parents   []any    // pointers to the objects
	columns   []Column // one for each selected field; unused if the field has Value
}

// newGroup returns an empty group with room for the given number of parents.
func newGroup(s *selection, parents int) *group {
	return &group{selection: s, parents: make([]any, 0, parents), columns: make([]Column, len(s.fields))}
}

// Column is one selected field of one group, with its result for each parent.
type Column struct {
	node   *node
	plan   *plan
	owner  *Object // the type of the parents
	object *Object // the type of the children; nil if it is abstract

	// The result for a parent is a tree of cells, which begins at its start. If the
	// results are leaves, there are no cells, and write appends them.
	starts []int32
	cells  []cell
	groups []*group
	write  func(b []byte, parent int) []byte

	err      error   // concerns every parent
	errs     []error // one for each parent, or none at all
	reported bool    // err is in the answer already
}

// cell is a null, a list, or an object.
type cell struct {
	kind int32 // null, list, or the number of the object's group
	at   int32 // list: the index of the cell after it; object: its index in the group
}

const (
	null int32 = -1
	list int32 = -2
)

// fail replaces everything that was loaded by an error of all parents.
func (c *Column) fail(err error) {
	c.groups, c.errs, c.err = nil, nil, err
}

// errorOf returns the error of the parent, or nil if the parent has a result.
func (c *Column) errorOf(parent int) error {
	if c.errs != nil {
		return c.errs[parent]
	}
	return c.err
}

// firstError returns an error of any parent, or nil if none has one.
func (c *Column) firstError() error {
	return cmp.Or(append([]error{c.err}, c.errs...)...)
}

// after returns the index of the cell after the one at i and all its elements.
func (c *Column) after(i int32) int32 {
	if c.cells[i].kind == list {
		return c.cells[i].at
	}
	return i + 1
}

func (c *Column) addNull() {
	c.cells = append(c.cells, cell{kind: null})
}

// addObject adds an object to the group of its type o.
func (c *Column) addObject(o *Object, v any) {
	kind := 0
	for kind < len(c.groups) && c.groups[kind].selection.object != o {
		kind++
	}
	if kind == len(c.groups) {
		c.groups = append(c.groups, newGroup(c.plan.under(c.node, o), len(c.starts)))
	}
	g := c.groups[kind]
	c.cells = append(c.cells, cell{kind: int32(kind), at: int32(len(g.parents))})
	g.parents = append(g.parents, v)
}

// expect reserves room for more results like the first one.
func (c *Column) expect(results int) {
	results = min(results, 1000) // a guess, which must not cost much if it is wrong
	c.cells = slices.Grow(c.cells, results*len(c.cells))
	for _, g := range c.groups {
		g.parents = slices.Grow(g.parents, results*len(g.parents))
	}
}

// Results stores the results of a field in its column, one for each parent, in
// order. Generated code composes it from the functions below according to the Go
// type of the results, such as Composite(AddList(AddPointer[db.User])).
type Results[T any] func(c *Column, results []T)

// Leaf returns the Results for scalars, enums and lists of them, which write appends.
func Leaf[T any](write func(b []byte, v T) []byte) Results[T] {
	return func(c *Column, results []T) {
		c.write = func(b []byte, parent int) []byte { return write(b, results[parent]) }
	}
}

// Composite returns the Results for objects and lists of objects, which add adds.
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

// AddPointer adds the object that v points to, or null if v is nil.
func AddPointer[T any](c *Column, v *T) {
	if v == nil {
		c.addNull()
		return
	}
	c.addObject(c.object, v)
}

// AddStruct adds a copy of v.
func AddStruct[T any](c *Column, v T) {
	c.addObject(c.object, &v)
}

// AddAbstract returns a function that adds the object in an interface value.
// identify returns the name of its object type and a pointer to it, or an empty
// name for null.
func AddAbstract[T any](identify func(v any) (string, any)) func(*Column, T) {
	return func(c *Column, v T) {
		name, pointer := identify(v)
		if name == "" {
			c.addNull()
			return
		}
		c.addObject(c.plan.schema.objects[name], pointer)
	}
}

// AddList returns a function that adds a list, whose elements add adds. A nil list
// becomes null, or an empty list if the schema does not allow null.
func AddList[T any](add func(c *Column, v T)) func(*Column, []T) {
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
