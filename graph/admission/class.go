package admission

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
)

// Class is the class of work that an operation belongs to.
type Class int

// The classes of work.
const (
	Query Class = iota
	// Check is a query that asks for nothing but permission checks, which memory
	// answers as a rule.
	Check
	Mutation
	// Ending is a mutation that does nothing but end access, for good: it must get
	// through whatever else is going on.
	Ending
)

// checks are the fields of the root that ask for permission checks.
var checks = []string{"can", "checks", "checkMatrix"}

// ClassOf returns the class of an operation of an admitted document.
func ClassOf(operation *ast.OperationDefinition) Class {
	if operation.Operation != ast.Mutation {
		if every(operation.SelectionSet, func(f *ast.Field) bool { return slices.Contains(checks, f.Name) }) {
			return Check
		}
		return Query
	}
	ends := func(f *ast.Field) bool { return f.Definition.Directives.ForName("endsAccess") != nil }
	if operation.Directives.ForName("dryRun") == nil && every(operation.SelectionSet, ends) {
		return Ending
	}
	return Mutation
}

// every reports whether all fields of a selection are of that kind, in fragments, too.
func every(set ast.SelectionSet, of func(f *ast.Field) bool) bool {
	for _, selection := range set {
		ok := false
		switch s := selection.(type) {
		case *ast.Field:
			ok = s.Name == "__typename" || of(s)
		case *ast.InlineFragment:
			ok = every(s.SelectionSet, of)
		case *ast.FragmentSpread:
			ok = every(s.Definition.SelectionSet, of)
		}
		if !ok {
			return false
		}
	}
	return true
}
