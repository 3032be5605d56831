package execute

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Schema knows how to resolve each field of a GraphQL schema. Generated code makes
// it. Set its exported fields before the first operation, and do not change them
// afterwards. It is safe for concurrent use.
type Schema struct {
	// Present returns the errors that the client sees for the error of one field.
	// Errors that it returns without a path get the given one. The given error may be
	// a *gqlerror.Error whose path leads to the input at fault, relative to the
	// field. field names the field by its type, such as User.memberships, for a log. It
	// is empty, and the given path is nil, if the error concerns the whole operation.
	// By default, the client sees the error's own text.
	Present func(ctx context.Context, err error, field string, path ast.Path) []*gqlerror.Error

	// Mutation runs a mutation document, for example in a transaction. It calls run
	// with a context that the resolvers receive. It must keep the effects if both run
	// and it return nil, and undo them otherwise. It may call run again after it has
	// undone the effects; the last call determines the answer. By default, it only
	// calls run.
	Mutation func(ctx context.Context, run Run) error

	// Further makes the root fields behind the first one that fails run as well, so
	// that the client learns of the faults of all fields at once. If it is nil, they do
	// not run.
	Further *Further

	// Ahead is called by run before the first field, with all fields whose arguments could
	// be read. If it returns an error, no field runs, and run returns the error. By
	// default, nothing is called.
	Ahead func(ctx context.Context, fields []MutationField) error

	// RolledBack is the error of each root field of a failed mutation document that
	// has no error of its own. If it is nil, these fields get no error.
	RolledBack error
	// MaxBytes is how many bytes of JSON the data of an answer may have, and TooLong the
	// error of an operation whose data has more; a few more are written before it is
	// noticed. By default, there is no bound.
	MaxBytes int
	TooLong  error

	definition *ast.Schema
	objects    map[string]*Object
}

// Run executes a mutation document. It returns its data as JSON, or the error of the
// field that failed first, as the resolver returned it.
type Run func(ctx context.Context) (data []byte, err error)

// Further says how root fields of a mutation document run after another one has
// failed. What they do is undone with the document.
type Further struct {
	// Run calls field in the transaction of ctx and undoes what field did if it returns
	// an error. It reports whether the error is to be told, and the next field to run.
	Run func(ctx context.Context, field func(ctx context.Context) error) bool
	// Independent returns what remains of an error of a later field without what merely
	// follows from the failures of earlier ones; nil if nothing does. args are the
	// arguments of the field, or nil if the error is of a field below it.
	Independent func(err error, args map[string]any, failures []Failure) error
}

// Failure is the failure of one root field: its arguments as JSON values, and the
// errors of the field itself, without those of fields below it.
type Failure struct {
	Args map[string]any
	Errs []error
}

// MutationField is a root field of a mutation document.
type MutationField struct {
	// Name is the name in the schema.
	Name string
	// Args holds the arguments, as Field.Args returned them.
	Args map[string]any
}

// Object is a GraphQL object type.
type Object struct {
	// Name is the name in the schema.
	Name string
	// Fields holds the fields by their names in the schema.
	Fields map[string]*Field

	typename  []byte
	satisfies map[string]bool
}

// Field is a field of an object type. It has either Value or Load.
type Field struct {
	// Name is the name in the schema, GoName the name of the Go field or method.
	Name, GoName string
	// Type is the field's type in the schema.
	Type *ast.Type

	// Value appends the field of parent as JSON. It is for scalars, enums and lists
	// of them that are a plain Go field.
	Value func(b []byte, parent any) []byte

	// Load resolves the field for all parents of call at once. It calls LoadRoot,
	// LoadEach or LoadBatch.
	Load func(ctx context.Context, call *Call)
	// Args coerces the field's arguments. It is nil if the field has none.
	Args func(ctx context.Context, raw map[string]any) (map[string]any, error)

	key []byte // the JSON key of the field without an alias: "name":
}

// New returns the schema with the given definition, which objects resolve. Only
// Name and Fields of an object, and GoName and the functions of a field, need to be
// set.
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

// define sets everything that follows from the definition of the schema.
func (o *Object) define(schema *ast.Schema) {
	definition := schema.Types[o.Name]
	o.typename = AppendString(nil, o.Name)
	o.satisfies = map[string]bool{o.Name: true}
	for _, abstract := range schema.GetImplements(definition) {
		o.satisfies[abstract.Name] = true
	}
	for name, field := range o.Fields {
		field.Name = name
		field.Type = definition.Fields.ForName(name).Type
		field.key = append(AppendString(nil, name), ':')
	}
}

// possible returns the object types that a value of the named type can have.
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

// Schema returns the definition, for parsing and validation.
func (s *Schema) Schema() *ast.Schema { return s.definition }

// Complexity reports no cost: costs are computed before execution, elsewhere.
func (s *Schema) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

var _ graphql.ExecutableSchema = (*Schema)(nil)
