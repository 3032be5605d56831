package graph

import (
	"maps"
	"slices"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/graph/generated"
)

// contract is the schema that the server speaks: what schema.graphqls has, and of
// what gqlparser adds to it the part that is true here and known to clients. Each
// answer comes whole, so that there is no @defer; and clients which read the
// schema by introspection stumble over a location of directives that is in no
// released specification.
var contract = sync.OnceValue(func() *ast.Schema {
	const unreleased = "DIRECTIVE_DEFINITION"
	schema := *generated.NewSchema(generated.Config{}).Schema()
	schema.Directives = maps.Clone(schema.Directives)
	delete(schema.Directives, "defer")
	for name, directive := range schema.Directives {
		released := *directive
		released.Locations = slices.DeleteFunc(slices.Clone(directive.Locations), func(l ast.DirectiveLocation) bool { return l == unreleased })
		schema.Directives[name] = &released
	}
	schema.Types = maps.Clone(schema.Types)
	locations := *schema.Types["__DirectiveLocation"]
	locations.EnumValues = slices.DeleteFunc(slices.Clone(locations.EnumValues), func(v *ast.EnumValueDefinition) bool { return v.Name == unreleased })
	schema.Types[locations.Name] = &locations
	return &schema
})
