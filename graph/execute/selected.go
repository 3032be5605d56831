package execute

import (
	"context"
	"slices"
)

// Selected is what the client asked for below a field. It follows fragments,
// aliases, @skip and @include, and works out nothing before it is asked. The
// zero Selected has nothing selected. It is of use only while the resolver
// runs, and to one goroutine.
type Selected struct {
	plan  *plan
	nodes []*node
	on    string
}

// Selection gives what is selected below the field that a resolver is being
// called for, given the context of that call.
func Selection(ctx context.Context) Selected {
	call, _ := ctx.Value(callKey{}).(*Call)
	if call == nil {
		return Selected{}
	}
	return Selected{plan: call.plan, nodes: []*node{call.column.node}}
}

// Fields lists the fields selected here, each once and without __typename.
// Where the type is abstract, these are the fields of all its object types.
func (s Selected) Fields() []*Field {
	var fields []*Field
	for _, n := range s.under() {
		if n.field != nil && !slices.Contains(fields, n.field) {
			fields = append(fields, n.field)
		}
	}
	return fields
}

// Has tells whether a field is selected, given the names from here down to it,
// such as Has("nodes", "user", "email").
func (s Selected) Has(names ...string) bool {
	return len(s.At(names...).nodes) > 0
}

// At gives what is selected below a field, given the names down to it, under
// all of its aliases together.
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

// Node gives what is selected of the nodes of a connection: below nodes, and
// below node of edges.
func (s Selected) Node() Selected {
	node := s.At("nodes")
	node.nodes = append(node.nodes, s.At("edges", "node").nodes...)
	return node
}

// On keeps what is selected for values of one object type, where the type is
// abstract.
func (s Selected) On(object string) Selected {
	s.on = object
	return s
}

// under lists the nodes of the next level.
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
