package execute_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"pgregory.net/rapid"
)

// TestLikeGqlgenAtRandom runs random documents on both executors, and compares the
// answers.
func TestLikeGqlgenAtRandom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rapid.Check(t, func(rt *rapid.T) {
		g := documentGenerator{T: rt, schema: b.schema.Schema()}
		document := fmt.Sprintf(`query ($yes: Boolean = true, $no: Boolean = false) { ...All }
			fragment All on Query { user(id: "5") @skip(if: $no) @include(if: $yes) { ...F } ...Q }
			fragment Q on Query %s fragment F on User %s`,
			g.selection("Query", 6), g.selection("User", 2))
		sameAsGqlgen(t, b.executor, document, "")
		if t.Failed() {
			rt.Fatal(document)
		}
	})
}

// documentGenerator draws documents. The same response name always has the same
// arguments, so that fields merge if it is drawn twice.
type documentGenerator struct {
	*rapid.T
	schema *ast.Schema
}

// notForGqlgen lists the fields that gqlgen's executor answers differently.
var notForGqlgen = []string{"panics", "raw", "stamps"}

var randomArguments = map[string]string{
	"Query.user":    `(id: "5")`,
	"Query.node":    `(id: "u7")`,
	"Query.nodes":   `(ids: ["u1", "u2", "x", "t1", "u4", "n1", "t3", "u5"])`,
	"Query.users":   `(first: 7)`,
	"User.can":      `(permission: "ab")`,
	"User.friends":  `(first: 3)`,
	"User.greeting": `(loud: true)`,
}

func (g documentGenerator) selection(typeName string, depth int) string {
	parts := []string{"__typename"}
	for range rapid.IntRange(1, 4).Draw(g.T, "fields") {
		parts = append(parts, g.part(typeName, depth))
	}
	return "{ " + strings.Join(parts, " ") + " }"
}

func (g documentGenerator) part(typeName string, depth int) string {
	definition := g.schema.Types[typeName]
	directive := rapid.SampledFrom([]string{
		"", "", "", "@skip(if: $yes)", "@skip(if: $no)", "@include(if: $yes)", "@include(if: $no)",
	}).Draw(g.T, "directive")
	switch fragment := rapid.IntRange(0, 5).Draw(g.T, "fragment"); {
	case depth > 1 && (fragment == 0 || len(definition.Fields) == 0) && typeName != "Query":
		on := g.on(definition)
		return fmt.Sprintf("... on %s %s %s", on, directive, g.selection(on, depth-1))
	case fragment == 1 && typeName == "User" && depth > 2:
		return "...F " + directive
	default:
		return g.field(definition, directive, depth)
	}
}

// on draws a type condition that values of the type can meet.
func (g documentGenerator) on(definition *ast.Definition) string {
	names := []string{definition.Name}
	for _, possible := range g.schema.GetPossibleTypes(definition) {
		names = append(names, possible.Name)
		for _, abstract := range g.schema.GetImplements(possible) {
			names = append(names, abstract.Name)
		}
	}
	return rapid.SampledFrom(names).Draw(g.T, "on")
}

func (g documentGenerator) field(definition *ast.Definition, directive string, depth int) string {
	fields := map[string]*ast.FieldDefinition{}
	for _, f := range definition.Fields {
		leaf := g.schema.Types[f.Type.Name()].IsLeafType()
		if !strings.HasPrefix(f.Name, "__") && !slices.Contains(notForGqlgen, f.Name) && (leaf || depth > 1) {
			fields[f.Name] = f
		}
	}
	if len(fields) == 0 {
		return "__typename"
	}
	f := fields[rapid.SampledFrom(slices.Sorted(maps.Keys(fields))).Draw(g.T, "field")]
	alias := rapid.SampledFrom([]string{"", "", "", "a_" + f.Name + ": "}).Draw(g.T, "alias")
	field := alias + f.Name + randomArguments[definition.Name+"."+f.Name] + " " + directive
	if g.schema.Types[f.Type.Name()].IsLeafType() {
		return field
	}
	return field + " " + g.selection(f.Type.Name(), depth-1)
}
