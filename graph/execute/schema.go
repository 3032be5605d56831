package execute

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Schema says how each field of a GraphQL schema is resolved. Generated code
// makes it; the exported fields are set before the first operation and not
// changed after. It is safe for concurrent use.
type Schema struct {
	// Present turns the error of one field into what the client sees of it:
	// one or more errors, which are given path unless they bring their own.
	// The error may be a *gqlerror.Error whose path is that of the input at
	// fault, relative to the field. Path is nil when the error concerns the
	// operation as a whole. It defaults to the error's own text.
	Present func(ctx context.Context, err error, path ast.Path) []*gqlerror.Error

	// Mutation runs a mutation document, in a transaction if there is to be
	// one. It calls run, with a context which resolvers will get, and keeps
	// the effects if run and itself return nil. run gives the data of the
	// answer, or the first error of any field, as the resolver returned it, and
	// may be called again after what it did has been undone: the answer is that
	// of the last call.
	Mutation func(ctx context.Context, run Run) error

	// RolledBack is reported for each root field of a failed mutation
	// document that has no error of its own.
	RolledBack error

	definition *ast.Schema
	objects    map[string]*Object
}

// Run carries a mutation document out, and gives its data in JSON.
type Run func(ctx context.Context) (data []byte, err error)

// Object is a GraphQL object type.
type Object struct {
	Name   string
	Fields map[string]*Field

	typename  []byte
	satisfies map[string]bool
}

// Field is a field of an object type. It has either Value or Load.
type Field struct {
	// Name is the name in the schema, GoName that of the Go field or method.
	Name, GoName string
	// Type is the field's type in the schema.
	Type *ast.Type

	// Value appends the JSON of a scalar, an enum or a list of these, read
	// from its parent at no cost.
	Value func(b []byte, parent any) []byte

	// Load resolves the field for all parents of call at once.
	Load func(ctx context.Context, call *Call)
	// Args reads the field's arguments; nil when it has none.
	Args func(ctx context.Context, raw map[string]any) (map[string]any, error)

	key []byte // of the field under its own name
}

// New makes the schema that is defined by definition and resolved by objects.
// Only Name and Fields of an object, and GoName and the functions of a field,
// need be set.
func New(definition *ast.Schema, objects ...*Object) *Schema {
	s := &Schema{
		Present:    presentPlainly,
		Mutation:   func(ctx context.Context, run Run) error { _, err := run(ctx); return err },
		definition: definition,
		objects:    make(map[string]*Object, len(objects)),
	}
	for _, o := range objects {
		o.define(definition)
		s.objects[o.Name] = o
	}
	return s
}

// define fills in what the schema's definition knows of the object.
func (o *Object) define(schema *ast.Schema) {
	definition := schema.Types[o.Name]
	o.typename = String(nil, o.Name)
	o.satisfies = map[string]bool{o.Name: true}
	for _, abstract := range schema.GetImplements(definition) {
		o.satisfies[abstract.Name] = true
	}
	for name, field := range o.Fields {
		field.Name = name
		field.Type = definition.Fields.ForName(name).Type
		field.key = append(String(nil, name), ':')
	}
}

// possible gives the object types that a value of the named type can have.
func (s *Schema) possible(name string) []*Object {
	if o := s.objects[name]; o != nil {
		return []*Object{o}
	}
	var objects []*Object
	for _, definition := range s.definition.PossibleTypes[name] {
		objects = append(objects, s.objects[definition.Name])
	}
	return objects
}

// Schema gives the definition, for parsing and validation.
func (s *Schema) Schema() *ast.Schema { return s.definition }

// Complexity knows of no cost: costs are computed before execution, elsewhere.
func (s *Schema) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

var _ graphql.ExecutableSchema = (*Schema)(nil)
