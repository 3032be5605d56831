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

// objects is a plugin for gqlgen. It writes objects.go into the package of the
// generated code.
type objects struct{}

// Name returns the name of the plugin for gqlgen's errors.
func (objects) Name() string { return "objects" }

// GenerateCode writes objects.go. It returns an error if package execute does not
// support a field.
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
		Filename:        objectsPath(data.Config),
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

// objectsPath returns where objects.go is written.
func objectsPath(cfg *config.Config) string { return filepath.Join(cfg.Exec.Dir(), "objects.go") }

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

// supportedLeaf returns an error if the Go type of a list allows null where the
// schema forbids it, because package execute does not check for it while it writes
// scalars.
func supportedLeaf(ref *config.TypeReference) error {
	if !ref.IsSlice() {
		if ref.IsContext && !isNative(ref) {
			return errors.New("needs a context to be marshalled")
		}
		return nil
	}
	elem := ref.Elem()
	if elem.GQL.NonNull && elem.IsNilable() && !elem.IsSlice() {
		return fmt.Errorf("has elements that are %s in Go but not null in the schema", elem.GO)
	}
	return supportedLeaf(elem)
}

// isLeaf reports whether ref is a scalar, an enum or a list of these.
func isLeaf(ref *config.TypeReference) bool {
	return ref.Definition.Kind == ast.Scalar || ref.Definition.Kind == ast.Enum
}

// value returns the expression that appends a plain Go field of its parent, or an
// empty text if the field has to be loaded.
func value(f *codegen.Field) string {
	if !isLeaf(f.TypeReference) || f.IsResolver || f.Object.Root || len(f.Args) > 0 ||
		f.MethodHasContext || f.IsMethod() && !f.NoErr {
		return ""
	}
	obj := fmt.Sprintf("parent.(%s)", typeName(f.Object.Reference()))
	return appendLeaf(f.TypeReference, obj+"."+read(f))
}

// get returns the expression that resolves a field for obj or objs of the template.
// It has two results.
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

// results returns the expression of the execute.Results that store the field's
// results.
func results(f *codegen.Field) string {
	if isLeaf(f.TypeReference) {
		return fmt.Sprintf("execute.Leaf[%s](%s)", typeName(f.TypeReference.GO), leafFunc(f.TypeReference))
	}
	return fmt.Sprintf("execute.Composite(%s)", adder(f.TypeReference))
}

// adder returns the expression of the function that adds a value of type ref to a
// column.
func adder(ref *config.TypeReference) string {
	kind := ref.Definition.Kind
	switch {
	case ref.IsSlice():
		return fmt.Sprintf("execute.AddList(%s)", adder(ref.Elem()))
	case kind == ast.Interface || kind == ast.Union:
		return fmt.Sprintf("execute.AddAbstract[%s](identify%s)", typeName(ref.GO), ref.Definition.Name)
	case ref.IsPtr():
		return fmt.Sprintf("execute.AddPointer[%s]", typeName(ref.Elem().GO))
	default:
		return fmt.Sprintf("execute.AddStruct[%s]", typeName(ref.GO))
	}
}

// typeName returns the name of a type in the generated file, with its package.
func typeName(t types.Type) string {
	return templates.CurrentImports.LookupType(t)
}
