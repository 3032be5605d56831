package admission

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// beyond is where counting ends: fragments that spread fragments reach numbers
// that no integer holds.
const beyond = 1 << 40

// extent is how much a selection is when all its fragments are spread.
type extent struct{ fields, nodes, depth int }

func (e *extent) add(other extent) {
	e.fields = min(e.fields+other.fields, beyond)
	e.nodes = min(e.nodes+other.nodes, beyond)
	e.depth = max(e.depth, other.depth)
}

// fragment is a definition, and its extent once that is known.
type fragment struct {
	*ast.FragmentDefinition
	state  int
	extent extent
}

const (
	unmeasured = iota
	beingMeasured
	measured
)

// measuring is the walk which measures a document.
type measuring struct {
	fragments map[string]*fragment
	amounts   []amount

	aliases, directives, variables, valueDepth, nameBytes int
	// cyclic is the name of a fragment that contains itself.
	cyclic string
	circle bool
	// introspects tells that the document asks for the schema.
	introspects bool
}

// document measures a document; it fails when a fragment contains itself.
func (m *measuring) document(d *ast.QueryDocument) error {
	var total extent
	for _, o := range d.Operations {
		m.name(o.Name)
		total.add(m.variableDefinitions(o.VariableDefinitions))
		total.add(m.directiveList(o.Directives))
		total.add(m.selections(o.SelectionSet))
	}
	// Validation walks through every fragment for itself, too.
	for _, f := range d.Fragments {
		m.name(f.Name)
		total.add(m.fragment(m.fragments[f.Name]))
	}
	if m.circle {
		return &Refusal{Errors: gqlerror.List{{Message: fmt.Sprintf("Cannot spread fragment %q within itself.", shortened(m.cyclic))}}}
	}
	m.amounts = []amount{
		{"operations", func(l *Limits) int { return l.Operations }, len(d.Operations)},
		{"fragments", func(l *Limits) int { return l.Fragments }, len(d.Fragments)},
		{"variables", func(l *Limits) int { return l.Variables }, m.variables},
		{"directives", func(l *Limits) int { return l.Directives }, m.directives},
		{"aliases", func(l *Limits) int { return l.Aliases }, m.aliases},
		{"bytes in one name", func(l *Limits) int { return l.NameBytes }, m.nameBytes},
		{"levels of lists and objects in one value", func(l *Limits) int { return l.ValueDepth }, m.valueDepth},
		{"levels of selections", func(l *Limits) int { return l.Depth }, total.depth},
		{"fields, with fragments spread", func(l *Limits) int { return l.Fields }, total.fields},
		{"fields, arguments and values, with fragments spread", func(l *Limits) int { return l.Nodes }, total.nodes},
	}
	return nil
}

func (m *measuring) selections(set ast.SelectionSet) extent {
	var total extent
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			total.add(m.field(s))
		case *ast.InlineFragment:
			m.name(s.TypeCondition)
			total.add(m.directiveList(s.Directives))
			total.add(m.below(s.SelectionSet))
		case *ast.FragmentSpread:
			m.name(s.Name)
			total.add(m.directiveList(s.Directives))
			total.add(extent{nodes: 1})
			total.add(m.fragment(m.fragments[s.Name]))
		}
	}
	return total
}

// below is what a selection set adds to what it belongs to.
func (m *measuring) below(set ast.SelectionSet) extent {
	e := m.selections(set)
	e.nodes++
	if len(set) > 0 {
		e.depth++
	}
	return e
}

func (m *measuring) field(f *ast.Field) extent {
	m.name(f.Alias)
	m.name(f.Name)
	if f.Alias != f.Name {
		m.aliases++
	}
	m.introspects = m.introspects || f.Name == "__schema" || f.Name == "__type"
	e := m.below(f.SelectionSet)
	e.fields++
	e.add(m.argumentList(f.Arguments))
	e.add(m.directiveList(f.Directives))
	return e
}

// fragment measures a fragment the first time.
func (m *measuring) fragment(f *fragment) extent {
	switch {
	case f == nil: // validation finds that there is none
		return extent{}
	case f.state == beingMeasured:
		m.cyclic, m.circle = f.Name, true
		return extent{}
	case f.state == measured:
		return f.extent
	}
	f.state = beingMeasured
	m.name(f.TypeCondition)
	f.extent = m.directiveList(f.Directives)
	f.extent.add(m.selections(f.SelectionSet))
	f.state = measured
	return f.extent
}

func (m *measuring) variableDefinitions(all ast.VariableDefinitionList) extent {
	var total extent
	for _, v := range all {
		m.name(v.Variable)
		m.name(v.Type.Name())
		m.variables++
		total.add(extent{nodes: 1 + m.value(v.DefaultValue, 0)})
		total.add(m.directiveList(v.Directives))
	}
	return total
}

func (m *measuring) directiveList(all ast.DirectiveList) extent {
	var total extent
	for _, d := range all {
		m.name(d.Name)
		m.directives++
		total.add(extent{nodes: 1})
		total.add(m.argumentList(d.Arguments))
	}
	return total
}

func (m *measuring) argumentList(all ast.ArgumentList) extent {
	nodes := 0
	for _, a := range all {
		m.name(a.Name)
		nodes += 1 + m.value(a.Value, 0)
	}
	return extent{nodes: nodes}
}

// value returns how many nodes a value has.
func (m *measuring) value(v *ast.Value, depth int) int {
	if v == nil {
		return 0
	}
	m.valueDepth = max(m.valueDepth, depth)
	if v.Kind == ast.Variable {
		m.name(v.Raw)
	}
	nodes := 1
	for _, child := range v.Children {
		m.name(child.Name)
		nodes += m.value(child.Value, depth+1)
	}
	return nodes
}

func (m *measuring) name(name string) { m.nameBytes = max(m.nameBytes, len(name)) }
