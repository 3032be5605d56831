package main

import (
	"fmt"
	"go/types"

	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
)

// appendLeaf returns the expression that appends v, of type ref, to b.
func appendLeaf(ref *config.TypeReference, v string) string {
	switch {
	case ref.IsSlice() && ref.GQL.NonNull:
		return fmt.Sprintf("execute.AppendList(b, %s, %s)", v, leafFunc(ref.Elem()))
	case ref.IsSlice():
		return fmt.Sprintf("execute.AppendNullableList(b, %s, %s)", v, leafFunc(ref.Elem()))
	case ref.IsPtr():
		return fmt.Sprintf("execute.AppendNullable(b, %s, %s)", v, leafFunc(ref.Elem()))
	case appendsItself(ref.GO, false):
		return fmt.Sprintf("%s.AppendJSON(b)", v)
	case appendsItself(ref.GO, true):
		return fmt.Sprintf("%s(b, %s)", leafFunc(ref), v)
	case nativeFunc(ref) != "":
		return fmt.Sprintf("%s(b, %s)", nativeFunc(ref), converted(ref, v))
	default:
		return fmt.Sprintf("execute.AppendMarshaler(b, %s)", marshaler(ref, v))
	}
}

// leafFunc returns the expression of a function that appends a value of type ref.
func leafFunc(ref *config.TypeReference) string {
	if native := nativeFunc(ref); native != "" && converted(ref, "v") == "v" {
		return native
	}
	body := appendLeaf
	if appendsItself(ref.GO, true) {
		body = func(_ *config.TypeReference, v string) string { return v + ".AppendJSON(b)" }
	}
	return fmt.Sprintf("func(b []byte, v %s) []byte { return %s }", typeName(ref.GO), body(ref, "v"))
}

// isNative reports whether package execute has a function for the type, or the type
// appends its own JSON.
func isNative(ref *config.TypeReference) bool {
	if ref.IsPtr() {
		ref = ref.Elem()
	}
	return appendsItself(ref.GO, true) || nativeFunc(ref) != ""
}

const rawJSON = "encoding/json.RawMessage"

// nativeFunc returns the name of the function of package execute for the type, or
// an empty name if there is none.
func nativeFunc(ref *config.TypeReference) string {
	switch types.Unalias(ref.GO).String() {
	case "time.Time":
		return "execute.AppendTime"
	case rawJSON:
		return "execute.AppendRaw"
	}
	basic, ok := ref.GO.Underlying().(*types.Basic)
	if !ok || appendsItself(ref.GO, true) || ref.HasEnumValues() {
		return ""
	}
	isEnum := len(ref.Definition.EnumValues) > 0
	switch name := ref.Definition.Name; {
	case basic.Kind() == types.String && (isEnum || ref.CastType != nil || isOwn(ref, "String", "ID")):
		return "execute.AppendString"
	case basic.Info()&types.IsInteger != 0 && basic.Info()&types.IsUnsigned == 0 && isOwn(ref, "Int"):
		return "execute.AppendInt"
	case basic.Kind() == types.Float64 && name == "Float":
		return "execute.AppendFloat"
	case basic.Kind() == types.Bool && isOwn(ref, "Boolean"):
		return "execute.AppendBool"
	default:
		return ""
	}
}

// isOwn reports whether ref is one of the named scalars of GraphQL itself, and its
// Go type has no JSON of its own.
func isOwn(ref *config.TypeReference, names ...string) bool {
	for _, name := range names {
		if ref.Definition.Name == name {
			return !ref.IsMarshaler
		}
	}
	return false
}

// converted returns the expression that converts v, of a named type, to the type
// that its native function takes.
func converted(ref *config.TypeReference, v string) string {
	basic, ok := ref.GO.Underlying().(*types.Basic)
	if _, named := types.Unalias(ref.GO).(*types.Named); !named || !ok || basic.Info()&types.IsInteger != 0 {
		return v
	}
	return fmt.Sprintf("%s(%s)", basic.Name(), v)
}

// appendsItself reports whether t has the method AppendJSON([]byte) []byte. If the
// value is addressable, a pointer receiver will do.
func appendsItself(t types.Type, addressable bool) bool {
	method, _, _ := types.LookupFieldOrMethod(t, addressable, nil, "AppendJSON")
	f, ok := method.(*types.Func)
	return ok && types.Identical(f.Signature(), appendJSON)
}

// appendJSON is the signature of AppendJSON.
var appendJSON = func() *types.Signature {
	bytes := types.NewTuple(types.NewParam(0, nil, "", types.NewSlice(types.Typ[types.Byte])))
	return types.NewSignatureType(nil, nil, nil, bytes, bytes, false)
}()

// marshaler returns the expression of a graphql.Marshaler, for types without a
// function in package execute.
func marshaler(ref *config.TypeReference, v string) string {
	switch {
	case ref.IsMarshaler:
		return v
	case ref.HasEnumValues():
		return fmt.Sprintf("%s(%s[%s])", templates.Call(ref.Marshaler), ref.MarshalFunc(), v)
	case ref.CastType != nil:
		return fmt.Sprintf("%s(%s(%s))", templates.Call(ref.Marshaler), typeName(ref.CastType), v)
	default:
		return fmt.Sprintf("%s(%s)", templates.Call(ref.Marshaler), v)
	}
}
