package main

import (
	"go/token"
	"go/types"
	"testing"

	"github.com/99designs/gqlgen/codegen/config"
	"github.com/vektah/gqlparser/v2/ast"
)

// TestListsThatMayHoldNull expects an error for Go types that could write a null
// into a list for which the schema forbids it.
func TestListsThatMayHoldNull(t *testing.T) {
	t.Parallel()
	text := types.Typ[types.String]
	pointer := types.NewPointer(text)
	nonNull, nullable := ast.NonNullNamedType("String", nil), ast.NamedType("String", nil)
	for name, test := range map[string]struct {
		schema    *ast.Type
		goType    types.Type
		supported bool
	}{
		"values":                {schema: ast.ListType(nonNull, nil), goType: types.NewSlice(text), supported: true},
		"pointers":              {schema: ast.ListType(nonNull, nil), goType: types.NewSlice(pointer)},
		"pointers for nullable": {schema: ast.ListType(nullable, nil), goType: types.NewSlice(pointer), supported: true},
		"lists":                 {schema: ast.ListType(ast.NonNullListType(nonNull, nil), nil), goType: types.NewSlice(types.NewSlice(text)), supported: true},
		"lists of pointers":     {schema: ast.ListType(ast.NonNullListType(nonNull, nil), nil), goType: types.NewSlice(types.NewSlice(pointer))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref := &config.TypeReference{Definition: &ast.Definition{Name: "String"}, GQL: test.schema, GO: test.goType}
			if err := supportedLeaf(ref); (err == nil) != test.supported {
				t.Error(err)
			}
		})
	}
}

func TestTypesThatAppendThemselves(t *testing.T) {
	t.Parallel()
	id := types.NewNamed(types.NewTypeName(token.NoPos, nil, "ID", nil), types.NewStruct(nil, nil), nil)
	receiver := types.NewVar(token.NoPos, nil, "id", types.NewPointer(id))
	id.AddMethod(types.NewFunc(token.NoPos, nil, "AppendJSON", types.NewSignatureType(
		receiver, nil, nil, appendJSON.Params(), appendJSON.Results(), false)))
	name, list := ast.NamedType("ID", nil), ast.ListType(ast.NamedType("ID", nil), nil)
	for _, test := range []struct {
		schema *ast.Type
		goType types.Type
		want   bool
	}{
		{schema: name, goType: id, want: true},
		{schema: name, goType: types.NewPointer(id), want: true},
		{schema: list, goType: types.NewSlice(id), want: true},
		{schema: list, goType: id},
		{schema: name, goType: types.NewSlice(id)},
		{schema: name, goType: types.Typ[types.String]},
	} {
		t.Run(test.schema.String()+" as "+test.goType.String(), func(t *testing.T) {
			t.Parallel()
			if got := appends(test.schema, test.goType); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
