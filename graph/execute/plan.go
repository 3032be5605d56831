package execute

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// plan is the document of one operation with its variables. It computes a selection
// when it is first needed, once for each position and concrete type.
type plan struct {
	schema    *Schema
	variables map[string]any
}

// selection holds the selected fields of one concrete type at one position.
type selection struct {
	object *Object
	fields []*node
}

// node is one response name in a selection, merged from all fragments that select
// it.
type node struct {
	name  string     // in the response
	key   []byte     // the name as a JSON key: "name":
	field *Field     // nil for __typename
	ast   *ast.Field // the first one
	sets  []ast.SelectionSet
	below []*selection // one for each concrete type so far
}

// under returns the selection below n for values of type o.
func (p *plan) under(n *node, o *Object) *selection {
	for _, s := range n.below {
		if s.object == o {
			return s
		}
	}
	s := p.collect(o, n.sets...)
	n.below = append(n.below, s)
	return s
}

// collect merges selection sets into the selection of type o.
func (p *plan) collect(o *Object, sets ...ast.SelectionSet) *selection {
	c := collector{plan: p, selection: &selection{object: o}}
	for _, set := range sets {
		c.add(set)
	}
	return c.selection
}

// collector is the state of the specification's algorithm CollectFields.
type collector struct {
	*plan
	*selection
	visited []*ast.FragmentDefinition
}

func (c *collector) add(set ast.SelectionSet) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if c.included(s.Directives) {
				c.addField(s)
			}
		case *ast.InlineFragment:
			if c.included(s.Directives) && c.applies(s.TypeCondition) {
				c.add(s.SelectionSet)
			}
		case *ast.FragmentSpread:
			if c.included(s.Directives) && !slices.Contains(c.visited, s.Definition) {
				c.visited = append(c.visited, s.Definition)
				if c.applies(s.Definition.TypeCondition) {
					c.add(s.Definition.SelectionSet)
				}
			}
		}
	}
}

func (c *collector) addField(f *ast.Field) {
	i := slices.IndexFunc(c.fields, func(n *node) bool { return n.name == f.Alias })
	if i < 0 {
		i = len(c.fields)
		c.fields = append(c.fields, newNode(c.object.Fields[f.Name], f))
	}
	if len(f.SelectionSet) > 0 {
		c.fields[i].sets = append(c.fields[i].sets, f.SelectionSet)
	}
}

func newNode(field *Field, selected *ast.Field) *node {
	n := &node{name: selected.Alias, field: field, ast: selected}
	if field != nil && field.Name == n.name {
		n.key = field.key
	} else {
		n.key = append(AppendString(nil, n.name), ':')
	}
	return n
}

func (c *collector) applies(typeCondition string) bool {
	return typeCondition == "" || c.object.satisfies[typeCondition]
}

// included reports whether @skip and @include let a selection through.
func (c *collector) included(directives ast.DirectiveList) bool {
	for _, d := range directives {
		if d.Name == "skip" && c.condition(d) || d.Name == "include" && !c.condition(d) {
			return false
		}
	}
	return true
}

func (c *collector) condition(d *ast.Directive) bool {
	value, err := d.Arguments.ForName("if").Value.Value(c.variables)
	yes, _ := value.(bool)
	return err == nil && yes
}
