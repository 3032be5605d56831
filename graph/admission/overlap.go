package admission

import "github.com/vektah/gqlparser/v2/ast"

// overlap is the walk, with all fragments spread, which foresees the work of one
// rule of validation. OverlappingFieldsCanBeMerged compares all fields of one
// response name at one place of the answer with each other, their arguments
// too: n fields take n² comparisons. gqlparser does so in 0.5 µs each, which is
// 25 s for a document of 45 kB that asks { me { id } } 10,000 times.
type overlap struct {
	fragments map[string]*fragment
	index     map[placeKey]int
	places    []place
}

// placeKey is a response name below a place.
type placeKey struct {
	above int
	name  string
}

// place is a place of the answer, such as users.nodes.name.
type place struct {
	// fields is how often it is asked for; nodes, how much that is with arguments.
	fields, nodes int
	// width is how many response names it has below it, below how many fields.
	width, below int
}

// overlapOf measures every operation, and every fragment for itself, as
// validation does.
func overlapOf(d *ast.QueryDocument, fragments map[string]*fragment) []amount {
	o := overlap{fragments: fragments, index: map[placeKey]int{}}
	rootFields := 0
	for _, operation := range d.Operations {
		root := o.root()
		o.add(root, operation.SelectionSet, 1)
		rootFields = max(rootFields, o.places[root].below)
	}
	for _, f := range d.Fragments {
		o.add(o.root(), f.SelectionSet, 1)
	}
	return append([]amount{{"root fields", func(l *Limits) int { return l.RootFields }, rootFields}}, o.amounts()...)
}

func (o *overlap) root() int {
	o.places = append(o.places, place{})
	return len(o.places) - 1
}

// add takes up a selection at a place. The fields of an inline fragment are
// compared once for each one around them: nesting times.
func (o *overlap) add(at int, set ast.SelectionSet, nesting int) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			o.field(at, s, nesting)
		case *ast.InlineFragment:
			o.add(at, s.SelectionSet, nesting+1)
		case *ast.FragmentSpread:
			if f := o.fragments[s.Name]; f != nil {
				o.add(at, f.SelectionSet, nesting)
			}
		}
	}
}

func (o *overlap) field(at int, f *ast.Field, nesting int) {
	o.places[at].below++
	key := placeKey{at, f.Alias}
	here, known := o.index[key]
	if !known {
		here = o.root()
		o.index[key] = here
		o.places[at].width++
	}
	o.places[here].fields++
	o.places[here].nodes += nesting * (1 + argumentNodes(f.Arguments))
	o.add(here, f.SelectionSet, 1)
}

func (o *overlap) amounts() []amount {
	width, repeats, comparisons := 0, 0, 0
	for _, p := range o.places {
		width = max(width, p.width)
		repeats = max(repeats, p.fields)
		if p.fields > 1 {
			comparisons = min(comparisons+p.fields*p.nodes, beyond)
		}
	}
	return []amount{
		{"response names in one object", func(l *Limits) int { return l.Width }, width},
		{"repeats of one response name", func(l *Limits) int { return l.Repeats }, repeats},
		{"comparisons of fields with the same response name", func(l *Limits) int { return l.Comparisons }, comparisons},
	}
}

func argumentNodes(all ast.ArgumentList) int {
	nodes := 0
	for _, a := range all {
		nodes += 1 + valueNodes(a.Value)
	}
	return nodes
}

func valueNodes(v *ast.Value) int {
	nodes := 1
	for _, child := range v.Children {
		nodes += valueNodes(child.Value)
	}
	return nodes
}
