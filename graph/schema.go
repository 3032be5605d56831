package graph

import (
	"maps"
	"slices"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/directory"
	"roster/graph/execute"
	"roster/graph/generated"
	"roster/loaders"
	"roster/signin"
	"roster/transfer"
)

// NewSchema returns the schema that the server speaks, resolved by d, s and t. With nil ones
// it can be read, but not run.
func NewSchema(d *directory.Directory, s *signin.Service, t *transfer.Service) *execute.Schema {
	return generated.NewSchema(generated.Config{
		Schema:    contract(),
		Resolvers: &resolver{d, s, t, loaders.Loaders{Directory: d}},
	})
}

// contract returns schema.graphqls with as much of gqlparser's additions as is true
// here and known to clients. Answers come whole, so that there is no @defer; and
// clients that read the schema by introspection fail on a location of directives
// that is in no released specification.
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
	describeRequirements(&schema)
	return &schema
})

// describeRequirements adds to the description of each field the permission that
// @requires names. It must be called once for a schema.
func describeRequirements(schema *ast.Schema) {
	for _, definition := range schema.Types {
		for _, field := range definition.Fields {
			if requires := field.Directives.ForName("requires"); requires != nil {
				field.Description += " Needs `" + requires.Arguments.ForName("permission").Value.Raw + "`."
			}
		}
	}
}
