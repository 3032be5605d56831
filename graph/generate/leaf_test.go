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
		"values":                {ast.ListType(nonNull, nil), types.NewSlice(text), true},
		"pointers":              {ast.ListType(nonNull, nil), types.NewSlice(pointer), false},
		"pointers for nullable": {ast.ListType(nullable, nil), types.NewSlice(pointer), true},
		"lists":                 {ast.ListType(ast.NonNullListType(nonNull, nil), nil), types.NewSlice(types.NewSlice(text)), true},
		"lists of pointers":     {ast.ListType(ast.NonNullListType(nonNull, nil), nil), types.NewSlice(types.NewSlice(pointer)), false},
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
		{name, id, true},
		{name, types.NewPointer(id), true},
		{list, types.NewSlice(id), true},
		{list, id, false},
		{name, types.NewSlice(id), false},
		{name, types.Typ[types.String], false},
	} {
		t.Run(test.schema.String()+" as "+test.goType.String(), func(t *testing.T) {
			t.Parallel()
			if got := appends(test.schema, test.goType); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
