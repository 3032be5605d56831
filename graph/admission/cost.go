package admission

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// The sizes of connections, as the schema states them.
const (
	defaultPage = 20
	maxPage     = 100
)

// defaultList is the size of a list of which nothing more is known.
const defaultList = 10

// listSizes has the sizes of lists that are seldom longer.
var listSizes = map[string]int{
	"User.identities":                 2,
	"Membership.roles":                3,
	"Membership.effectivePermissions": 50,
	"Organization.defaultRoles":       3,
	"Settings.defaultRoles":           3,
	"Organization.autoJoinDomains":    3,
}

// weights are the costs of fields which take more than the reading of a value, by
// name, or by type and name where that matters. One unit is some 0.2 µs of a
// processor and 64 bytes at most, so that an operation of the highest cost takes
// no more than 50 ms and 16 MiB (BenchmarkHostile).
var weights = map[string]int{
	"totalCount":         20,     // counts all that the list has
	"properties":         256,    // up to 16 KiB
	"pictureUrl":         32,     // up to 2 KiB
	"description":        32,     // likewise, if it is ASCII
	"reason":             16,     // half of that
	"ImportRow.errors":   100,    // up to 20, each with a quotation
	"ImportRow.warnings": 100,    // likewise
	"before":             400,    // a row as it was, with its properties
	"after":              400,    // a row as it became
	"can":                5,      // finds the user and the organization
	"membership":         20,     // a row for each object
	"member":             20,     // likewise
	"Query.explain":      5000,   // many statements
	"Membership.explain": 20,     // shares them with others of the list
	"__schema":           50_000, // some 8,000 values with all that is selected below
	"__type":             1000,
}

// rootWeight is what every field of a query costs besides: a statement of its own.
const rootWeight = 250

// connectionWeight is what a list in pages costs: it has a statement, and rows for
// each object.
const connectionWeight = 20

// elementWeight is what an element of a list costs that the client sends: it is
// read, held to its type, and looked up.
const elementWeight = 20

// mutationWeight is the cost of a change by itself: it is written and recorded,
// and takes some milliseconds of this server and the database.
const mutationWeight = 400

// rowWeight is the cost of each row that a change touches besides: as many as the
// lists of its input multiply to, such as the users and roles of grantRoles.
const rowWeight = 100

// formula is what an operation costs: a bound of how many values the answer has.
// A field costs 1, or its weight, for every object that it is asked of; what is
// selected below a list, as often as the list is long.
//
//	cost(field) = weight + size × Σ cost(fields below)
//
// What depends on variables is worked out for each request; most does not.
type formula struct {
	fixed   int
	terms   []term
	counted []string // variables whose elements are counted
}

// term is a field with what is below it, where that depends on variables.
type term struct {
	size  size
	below formula
}

// size is how long a list is: the product of its factors.
type size struct {
	fixed    int
	factors  []string // variables: lists that the field has as many elements as
	inputs   []string // variables: objects whose lists are factors
	page     string   // a variable: first or last
	pageless int      // the size when that is null
}

// formulas makes those of all operations of a valid document.
func (g *Gate) formulas(document *ast.QueryDocument) map[*ast.OperationDefinition]formula {
	all := make(map[*ast.OperationDefinition]formula, len(document.Operations))
	for _, operation := range document.Operations {
		all[operation] = formulaOf(operation.SelectionSet, nil)
	}
	return all
}

// formulaOf makes the formula of a selection. page is the size of the connection
// that it belongs to, if it belongs to one.
func formulaOf(set ast.SelectionSet, page *size) formula {
	var f formula
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			f.add(fieldFormula(s, page))
		case *ast.InlineFragment:
			f.add(formulaOf(s.SelectionSet, page))
		case *ast.FragmentSpread:
			f.add(formulaOf(s.Definition.SelectionSet, page))
		}
	}
	return f
}

func fieldFormula(field *ast.Field, page *size) formula {
	f := formula{fixed: weightOf(field)}
	for _, argument := range field.Arguments {
		f.countElements(argument.Value)
	}
	if strings.HasPrefix(field.Name, "__") { // its weight stands for what is below
		return f
	}
	if field.ObjectDefinition.Name == "Mutation" {
		f.addTerm(rowsOf(field), formula{fixed: rowWeight})
	}
	n := sizeOf(field, page)
	var below formula
	if isConnection(field) {
		below = formulaOf(field.SelectionSet, &n)
		n = size{fixed: 1}
	} else {
		below = formulaOf(field.SelectionSet, nil)
	}
	if len(field.SelectionSet) == 0 && n.isList() {
		below.fixed = 1
	}
	f.addTerm(n, below)
	return f
}

// weightOf finds fields of the root by their type, since they may stand in
// fragments.
func weightOf(field *ast.Field) int {
	if strings.HasPrefix(field.Name, "__") {
		return ownWeight(field)
	}
	switch field.ObjectDefinition.Name {
	case "Query":
		return rootWeight + ownWeight(field)
	case "Mutation":
		return mutationWeight + ownWeight(field)
	}
	return ownWeight(field)
}

func ownWeight(field *ast.Field) int {
	for _, name := range []string{field.Name, field.ObjectDefinition.Name + "." + field.Name} {
		if weight, ok := weights[name]; ok {
			return weight
		}
	}
	if isConnection(field) {
		return connectionWeight
	}
	return 1
}

func isConnection(field *ast.Field) bool {
	return strings.HasSuffix(field.Definition.Type.Name(), "Connection")
}

// sizeOf is how many values a field has for each object that it is asked of.
func sizeOf(field *ast.Field, page *size) size {
	switch {
	case isConnection(field):
		return pageSize(field)
	case field.Definition.Type.Elem == nil:
		return size{fixed: 1}
	case page != nil: // nodes and edges
		return *page
	}
	if n, ok := listSizes[field.ObjectDefinition.Name+"."+field.Name]; ok {
		return size{fixed: n}
	}
	return argumentSize(field)
}

// pageSize returns the size of a page of a connection, by first or last.
func pageSize(field *ast.Field) size {
	for _, name := range []string{"first", "last"} {
		argument := field.Arguments.ForName(name)
		switch {
		case argument == nil || argument.Value.Kind == ast.NullValue:
		case argument.Value.Kind == ast.Variable:
			return size{fixed: 1, page: argument.Value.Raw, pageless: defaultPage}
		default:
			return size{fixed: clamped(argument.Value.Raw)}
		}
	}
	return size{fixed: defaultPage}
}

// argumentSize returns the size of a list which answers lists: as many elements as
// they have, multiplied.
func argumentSize(field *ast.Field) size {
	n, answers := size{fixed: 1}, false
	for _, argument := range field.Arguments {
		switch definition := field.Definition.Arguments.ForName(argument.Name); {
		case definition == nil || definition.Type.Elem == nil:
		case argument.Value.Kind == ast.Variable:
			n.factors, answers = append(n.factors, argument.Value.Raw), true
		default:
			n.fixed, answers = times(n.fixed, max(1, len(argument.Value.Children))), true
		}
	}
	if !answers {
		n.fixed = defaultList
	}
	return n
}

// rowsOf returns how many rows a change touches: the lists of its input, multiplied.
func rowsOf(field *ast.Field) size {
	n := size{fixed: 1}
	for _, argument := range field.Arguments {
		if argument.Value.Kind == ast.Variable {
			n.inputs = append(n.inputs, argument.Value.Raw)
		}
		for _, child := range argument.Value.Children {
			switch child.Value.Kind {
			case ast.Variable:
				n.factors = append(n.factors, child.Value.Raw)
			case ast.ListValue:
				n.fixed = times(n.fixed, max(1, len(child.Value.Children)))
			}
		}
	}
	return n
}

func (n size) isList() bool { return n.fixed != 1 || len(n.factors) > 0 || n.page != "" }

func (n size) value(s *sent) int {
	product := n.fixed
	for _, variable := range n.factors {
		list, _ := s.variables[variable].([]any)
		product = times(product, max(1, len(list)))
	}
	for _, variable := range n.inputs {
		input, _ := s.variables[variable].(map[string]any)
		for _, value := range input {
			list, _ := value.([]any)
			product = times(product, max(1, len(list)))
		}
	}
	if n.page == "" {
		return product
	}
	if s.variables[n.page] == nil {
		return times(product, n.pageless)
	}
	return times(product, integer(s.variables[n.page]))
}

func (f *formula) add(other formula) {
	f.fixed = plus(f.fixed, other.fixed)
	f.terms = append(f.terms, other.terms...)
	f.counted = append(f.counted, other.counted...)
}

// addTerm adds n times what is below.
func (f *formula) addTerm(n size, below formula) {
	switch {
	case len(n.factors) == 0 && len(n.inputs) == 0 && n.page == "" && len(below.terms) == 0 && len(below.counted) == 0:
		f.fixed = plus(f.fixed, times(n.fixed, below.fixed))
	default:
		f.terms = append(f.terms, term{n, below})
	}
}

// countElements adds the elements of the lists in an argument.
func (f *formula) countElements(v *ast.Value) {
	switch v.Kind {
	case ast.Variable:
		f.counted = append(f.counted, v.Raw)
	case ast.ListValue:
		f.fixed = plus(f.fixed, elementWeight*len(v.Children))
	}
	for _, child := range v.Children {
		f.countElements(child.Value)
	}
}

// value works a formula out.
func (f formula) value(s *sent) int {
	cost := f.fixed
	for _, t := range f.terms {
		cost = plus(cost, times(t.size.value(s), t.below.value(s)))
	}
	for _, variable := range f.counted {
		cost = plus(cost, elementWeight*s.elements(variable))
	}
	return cost
}

// sent are the variables of a request.
type sent struct {
	variables map[string]any
	counted   map[string]int
}

// elements counts those of all lists in a variable; where there are many, once for
// all fields that have it.
func (s *sent) elements(variable string) int {
	if n, known := s.counted[variable]; known {
		return n
	}
	n := elements(s.variables[variable])
	if n > 20 {
		if s.counted == nil {
			s.counted = map[string]int{}
		}
		s.counted[variable] = n
	}
	return n
}

// elements counts those of all lists in a value.
func elements(value any) int {
	count := 0
	switch value := value.(type) {
	case []any:
		count = len(value)
		for _, element := range value {
			count += elements(element)
		}
	case map[string]any:
		for _, field := range value {
			count += elements(field)
		}
	}
	return count
}

func integer(value any) int {
	switch value := value.(type) {
	case int64:
		return clamp(int(value))
	case int:
		return clamp(value)
	case json.Number:
		return clamped(value.String())
	}
	return maxPage
}

// clamped reads the size of a page. A value that is not a size fails later on.
func clamped(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return maxPage
	}
	return clamp(n)
}

func clamp(n int) int { return max(1, min(n, maxPage)) }

func plus(a, b int) int { return min(a+b, beyond) }

// times multiplies numbers that are not beyond telling.
func times(a, b int) int {
	if a != 0 && b > beyond/a {
		return beyond
	}
	return min(a*b, beyond)
}
