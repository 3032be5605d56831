package graph

import (
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// checkOneOf holds the values of variables to @oneOf (GraphQL specification,
// 3.10.1): exactly one field, and not null. gqlparser does so for what stands in
// the document only.
func checkOneOf(schema *ast.Schema, operation *ast.OperationDefinition, variables map[string]any) gqlerror.List {
	check := oneOfCheck{schema: schema}
	for _, definition := range operation.VariableDefinitions {
		check.value(definition.Type, variables[definition.Variable],
			ast.Path{ast.PathName("variable"), ast.PathName(definition.Variable)})
	}
	return check.errs
}

type oneOfCheck struct {
	schema *ast.Schema
	errs   gqlerror.List
}

func (c *oneOfCheck) value(t *ast.Type, value any, path ast.Path) {
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			c.value(elementType(t), element, append(path, ast.PathIndex(i)))
		}
	case map[string]any:
		c.object(c.schema.Types[t.Name()], value, path)
	}
}

// elementType is the type of a list's elements; a value in place of a list is
// its only element.
func elementType(t *ast.Type) *ast.Type {
	if t.Elem != nil {
		return t.Elem
	}
	return t
}

func (c *oneOfCheck) object(definition *ast.Definition, fields map[string]any, path ast.Path) {
	if definition == nil || definition.Kind != ast.InputObject {
		return
	}
	if definition.Directives.ForName("oneOf") != nil && !hasOne(fields) {
		c.errs = append(c.errs, gqlerror.ErrorPathf(append(ast.Path(nil), path...),
			"%s takes exactly one of its %s fields, and not null.", definition.Name, strconv.Itoa(len(definition.Fields))))
	}
	for name, value := range fields {
		if field := definition.Fields.ForName(name); field != nil {
			c.value(field.Type, value, append(path, ast.PathName(name)))
		}
	}
}

func hasOne(fields map[string]any) bool {
	for _, value := range fields {
		return len(fields) == 1 && value != nil
	}
	return false
}
