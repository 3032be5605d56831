package main

import (
	"go/types"
	"strings"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/vektah/gqlparser/v2/ast"
)

// bindAppenders binds scalar fields to Go fields whose type appends its own JSON
// or is JSON. gqlgen supports only types with MarshalGQL and UnmarshalGQL, and has
// turned these fields into resolvers.
func bindAppenders(data *codegen.Data) {
	for _, o := range data.Objects {
		for _, f := range o.Fields {
			resolver := data.Config.Models[o.Name].Fields[f.Name].Resolver
			if !f.IsResolver || resolver || o.Root || len(f.Args) > 0 || !isLeaf(f.TypeReference) {
				continue
			}
			if v := structField(o.Type, f.GoFieldName); v != nil && appends(f.Type, v.Type()) {
				f.IsResolver, f.Batch = false, false
				f.GoFieldName = v.Name()
				f.TypeReference = &config.TypeReference{
					Definition: f.TypeReference.Definition, GQL: f.Type, GO: types.Unalias(v.Type()),
				}
			}
		}
	}
}

// structField returns the exported field with the name, or nil. Like gqlgen, it
// ignores letter case.
func structField(t types.Type, name string) *types.Var {
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return nil
	}
	for v := range s.Fields() {
		if v.Exported() && strings.EqualFold(v.Name(), name) {
			return v
		}
	}
	return nil
}

// appends reports whether a Go type appends its own JSON or is JSON, or is a pointer
// to such a type, or is a list of it and the schema has a list, too.
func appends(schema *ast.Type, t types.Type) bool {
	switch t := types.Unalias(t).(type) {
	case *types.Pointer:
		return appends(schema, t.Elem())
	case *types.Slice:
		return schema.Elem != nil && appends(schema.Elem, t.Elem())
	default:
		return schema.Elem == nil && (appendsItself(t, true) || t.String() == rawJSON)
	}
}

// hideAppenders replaces these types by an interface in the data for gqlgen's own
// executor, which does not need them. It could not tell instances of a generic type
// apart: it names its functions after the type alone. Call it after objects.go has
// been rendered.
func hideAppenders(data *codegen.Data) error {
	marshaler, err := data.Config.NewBinder().FindType("github.com/99designs/gqlgen/graphql", "Marshaler")
	if err != nil {
		return err
	}
	for key, ref := range data.ReferencedTypes {
		if !isInput(data, ref) && appends(ref.GQL, ref.GO) {
			delete(data.ReferencedTypes, key)
		}
	}
	for _, o := range data.Objects {
		for _, f := range o.Fields {
			if appends(f.Type, f.TypeReference.GO) {
				f.TypeReference = hidden(f.TypeReference, marshaler)
				data.ReferencedTypes[f.TypeReference.UniquenessKey()] = f.TypeReference
			}
		}
	}
	return nil
}

// isInput reports whether arguments or input objects use the type.
func isInput(data *codegen.Data, ref *config.TypeReference) bool {
	for _, o := range data.Inputs {
		for _, f := range o.Fields {
			if f.TypeReference.UniquenessKey() == ref.UniquenessKey() {
				return true
			}
		}
	}
	for _, args := range data.Args() {
		for _, arg := range args {
			if arg.TypeReference.UniquenessKey() == ref.UniquenessKey() {
				return true
			}
		}
	}
	return false
}

// hidden returns ref as an output type held by an interface.
func hidden(ref *config.TypeReference, marshaler types.Type) *config.TypeReference {
	definition := *ref.Definition
	definition.Kind = ast.Union // gqlgen generates no unmarshaler for unions
	return &config.TypeReference{
		Definition: &definition, GQL: ref.GQL, GO: marshaler, Target: marshaler, IsMarshaler: true,
	}
}
