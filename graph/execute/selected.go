package execute

import (
	"context"
	"slices"
)

// Selected holds the fields that the client selected below a field. It resolves
// fragments, aliases, @skip and @include, and computes nothing in advance. The zero
// Selected has no fields. Use it only while the resolver runs, and in one goroutine.
type Selected struct {
	plan  *plan
	nodes []*node
	on    string
}

// Selection returns what is selected below the field that a resolver is called
// for, given the context of that call. In any other context, nothing is selected.
func Selection(ctx context.Context) Selected {
	call, _ := ctx.Value(callKey{}).(*Call)
	if call == nil {
		return Selected{}
	}
	return Selected{plan: call.plan, nodes: []*node{call.column.node}}
}

// Fields returns the selected fields, each once and without __typename. If the
// type is abstract, it returns the fields of all its object types.
func (s Selected) Fields() []*Field {
	var fields []*Field
	for _, n := range s.under() {
		if n.field != nil && !slices.Contains(fields, n.field) {
			fields = append(fields, n.field)
		}
	}
	return fields
}

// Has reports whether a field is selected, given the names that lead to it, such
// as Has("nodes", "user", "email").
func (s Selected) Has(names ...string) bool {
	return len(s.At(names...).nodes) > 0
}

// At returns what is selected below a field, given the names that lead to it. It
// merges all aliases of the field.
func (s Selected) At(names ...string) Selected {
	for _, name := range names {
		at := Selected{plan: s.plan}
		for _, n := range s.under() {
			if n.field != nil && n.field.Name == name {
				at.nodes = append(at.nodes, n)
			}
		}
		s = at
	}
	return s
}

// Node returns what is selected of the nodes of a connection: below nodes, and
// below node of edges.
func (s Selected) Node() Selected {
	node := s.At("nodes")
	node.nodes = append(node.nodes, s.At("edges", "node").nodes...)
	return node
}

// On returns only what is selected for values of one object type, if the type is
// abstract.
func (s Selected) On(object string) Selected {
	s.on = object
	return s
}

// under returns the nodes of the next level.
func (s Selected) under() []*node {
	var nodes []*node
	for _, n := range s.nodes {
		for _, o := range s.plan.schema.possible(n.field.Type.Name()) {
			if s.on == "" || s.on == o.Name {
				nodes = append(nodes, s.plan.under(n, o).fields...)
			}
		}
	}
	return nodes
}
