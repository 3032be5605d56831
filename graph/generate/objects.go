package main

import (
	_ "embed"
	"errors"
	"fmt"
	"go/types"
	"path/filepath"
	"text/template"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed objects.gotpl
var objectsTemplate string

// objects is the gqlgen plugin that writes objects.go into the package of the
// generated code.
type objects struct{}

// Name names the plugin in gqlgen's errors.
func (objects) Name() string { return "objects" }

// GenerateCode refuses what package execute does not do, and writes the file.
func (objects) GenerateCode(data *codegen.Data) error {
	bindAppenders(data)
	for _, o := range data.Objects {
		for _, f := range o.Fields {
			if err := supported(f); err != nil {
				return fmt.Errorf("%s.%s: %w", o.Name, f.Name, err)
			}
		}
	}
	err := templates.Render(templates.Options{
		PackageName:     data.Config.Exec.Package,
		Filename:        filepath.Join(data.Config.Exec.Dir(), "objects.go"),
		Template:        objectsTemplate,
		Data:            data,
		Funcs:           template.FuncMap{"value": value, "get": get, "results": results},
		GeneratedHeader: true,
		Packages:        data.Config.Packages,
		PruneOptions:    data.Config.GetPruneOptions(),
	})
	if err != nil {
		return err
	}
	return hideAppenders(data)
}

func supported(f *codegen.Field) error {
	switch {
	case f.Object.Stream:
		return nil
	case f.HasDirectives():
		return errors.New("has directives with a runtime; set skip_runtime for them")
	case f.IsMap() || f.VOkFunc || f.HasHaser:
		return errors.New("is bound to a map, or to a method with a second result that is no error")
	case f.IsResolver && !f.Object.Root && !f.IsBatch():
		return errors.New("has a resolver for single parents; set resolver.batch.enabled")
	case isLeaf(f.TypeReference):
		return supportedLeaf(f.TypeReference)
	default:
		return nil
	}
}

// supportedLeaf holds that a list can have no null where the schema forbids it,
// by its Go type: the writing of scalars does not look for them.
func supportedLeaf(ref *config.TypeReference) error {
	if !ref.IsSlice() {
		if ref.IsContext && !isNative(ref) {
			return errors.New("needs a context to be marshalled")
		}
		return nil
	}
	elem := ref.Elem()
	if elem.GQL.NonNull && elem.IsNilable() && !elem.IsSlice() {
		return fmt.Errorf("has elements which are %s in Go but not null in the schema", elem.GO)
	}
	return supportedLeaf(elem)
}

// isLeaf is true of scalars, enums and lists of these.
func isLeaf(ref *config.TypeReference) bool {
	return ref.Definition.Kind == ast.Scalar || ref.Definition.Kind == ast.Enum
}

// value gives the expression that appends a field which is read from obj at
// no cost; empty where the field has to be loaded.
func value(f *codegen.Field) string {
	if !isLeaf(f.TypeReference) || f.IsResolver || f.Object.Root || len(f.Args) > 0 ||
		f.MethodHasContext || f.IsMethod() && !f.NoErr {
		return ""
	}
	obj := fmt.Sprintf("parent.(%s)", typeName(f.Object.Reference()))
	return appendLeaf(f.TypeReference, obj+"."+read(f))
}

// get gives the expression, of two results, which resolves a field for what
// its template calls obj or objs.
func get(f *codegen.Field) string {
	switch {
	case f.IsBatch():
		return fmt.Sprintf("ec.Resolvers.%s().%s(%s)",
			templates.UcFirst(f.Object.Name), f.GoFieldName, f.BatchCallArgs("objs", ""))
	case f.IsResolver:
		return "ec.Resolvers." + f.ShortInvocation()
	case f.IsMethod() && !f.NoErr:
		return f.GoReceiverName + "." + read(f)
	default:
		return f.GoReceiverName + "." + read(f) + ", nil"
	}
}

func read(f *codegen.Field) string {
	if f.IsMethod() {
		return fmt.Sprintf("%s(%s)", f.GoFieldName, f.CallArgs())
	}
	return f.GoFieldName
}

// results gives the expression that says of what shape a field's results are.
func results(f *codegen.Field) string {
	if isLeaf(f.TypeReference) {
		return fmt.Sprintf("execute.Leaf[%s](%s)", typeName(f.TypeReference.GO), leafFunc(f.TypeReference))
	}
	return fmt.Sprintf("execute.Composite(%s)", adder(f.TypeReference))
}

// adder gives the function of package execute that adds a value of type ref.
func adder(ref *config.TypeReference) string {
	kind := ref.Definition.Kind
	switch {
	case ref.IsSlice():
		return fmt.Sprintf("execute.Elements(%s)", adder(ref.Elem()))
	case kind == ast.Interface || kind == ast.Union:
		return fmt.Sprintf("execute.Abstract[%s](identify%s)", typeName(ref.GO), ref.Definition.Name)
	case ref.IsPtr():
		return fmt.Sprintf("execute.Pointer[%s]", typeName(ref.Elem().GO))
	default:
		return fmt.Sprintf("execute.Struct[%s]", typeName(ref.GO))
	}
}

// typeName spells a type as the generated file has to.
func typeName(t types.Type) string {
	return templates.CurrentImports.LookupType(t)
}
