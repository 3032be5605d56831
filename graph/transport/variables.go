package transport

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"roster/graph/scalar"
)

// coerceVariables reads the variables of an operation (GraphQL specification, 6.1.2)
// and returns an error for each fault, without its value. The variables share
// memory with given, which it may change.
//
// gqlparser has such a function, too. It reads values by reflection, which was a
// third of the time of 1,000 checks; it stops at the first fault, and quotes values;
// it takes enum values in any letter case, and does not know @oneOf.
func coerceVariables(schema *ast.Schema, operation *ast.OperationDefinition, given map[string]any) (map[string]any, gqlerror.List) {
	c := coercion{schema: schema}
	variables := make(map[string]any, len(operation.VariableDefinitions))
	for _, v := range operation.VariableDefinitions {
		c.path = append(c.path[:0], step{name: "variable"}, step{name: v.Variable})
		value, isGiven := given[v.Variable]
		if !isGiven && v.DefaultValue != nil {
			var err error
			if value, err = v.DefaultValue.Value(nil); err != nil { // which validation has seen
				c.fail("is not valid")
				continue
			}
			isGiven = true
		}
		if isGiven {
			variables[v.Variable] = c.value(v.Type, value)
		} else if v.Type.NonNull {
			c.fail("must be defined")
		}
	}
	return variables, c.errs
}

type coercion struct {
	schema *ast.Schema
	path   []step // to the current value
	errs   gqlerror.List
}

// step is one step of a path: a name or, if that is empty, an index.
type step struct {
	name  string
	index int
}

var plainName = regexp.MustCompile(`^[_A-Za-z][_0-9A-Za-z]{0,127}$`)

// plainPath returns the path up to the first name that no schema could have: clients
// choose the names in an input.
func (c *coercion) plainPath() ast.Path {
	var path ast.Path
	for _, s := range c.path {
		switch {
		case s.name == "":
			path = append(path, ast.PathIndex(s.index))
		case plainName.MatchString(s.name):
			path = append(path, ast.PathName(s.name))
		default:
			return path
		}
	}
	return path
}

func (c *coercion) fail(message string) {
	if len(c.errs) < maxErrors {
		c.errs = append(c.errs, &gqlerror.Error{Path: c.plainPath(), Message: message})
	}
}

// failAt is fail for a field that the current value lacks, or should not have.
func (c *coercion) failAt(name, message string) {
	c.path = append(c.path, step{name: name})
	c.fail(message)
	c.path = c.path[:len(c.path)-1]
}

// part is value for a part of the current value.
func (c *coercion) part(s step, t *ast.Type, value any) any {
	c.path = append(c.path, s)
	read := c.value(t, value)
	c.path = c.path[:len(c.path)-1]
	return read
}

func (c *coercion) value(t *ast.Type, value any) any {
	if value == nil {
		if t.NonNull {
			c.fail("cannot be null")
		}
		return nil
	}
	if t.Elem != nil {
		elements, isList := value.([]any)
		if !isList { // a single value stands for a list of one
			elements = []any{value}
		}
		for i, element := range elements {
			elements[i] = c.part(step{index: i}, t.Elem, element)
		}
		return elements
	}
	definition := c.schema.Types[t.NamedType]
	if definition.Kind == ast.InputObject {
		if fields, isObject := value.(map[string]any); isObject {
			c.object(definition, fields)
			return value
		}
		c.fail("must be of the type " + t.NamedType)
		return nil
	}
	read, err := leaf(definition, value)
	if err != nil {
		c.fail(err.Error())
		return nil
	}
	return read
}

// leaf checks a scalar or enum value, which is read where it is used.
func leaf(definition *ast.Definition, value any) (any, error) {
	if definition.Kind == ast.Enum {
		if text, isText := value.(string); !isText || definition.EnumValues.ForName(text) == nil {
			return nil, errors.New("must be one of the values of " + definition.Name)
		}
		return value, nil
	}
	var err error
	switch definition.Name {
	case "String":
		_, err = scalar.UnmarshalString(value)
	case "Boolean":
		_, err = scalar.UnmarshalBoolean(value)
	case "Int":
		var n int
		n, err = scalar.UnmarshalInt(value)
		value = int64(n) // costs depend on it
	case "ID":
		_, err = scalar.UnmarshalID(value)
	case "DateTime":
		_, err = scalar.UnmarshalDateTime(value)
	}
	return value, err
}

// object reads the fields of an input. Fields that are left out get their defaults
// when the input is read as a whole.
func (c *coercion) object(definition *ast.Definition, fields map[string]any) {
	if definition.Directives.ForName("oneOf") != nil && !keepOneField(fields) {
		c.fail(definition.Name + " takes exactly one of its " + strconv.Itoa(len(definition.Fields)) + " fields, and not null.")
	}
	known := 0
	for _, field := range definition.Fields {
		value, given := fields[field.Name]
		if given {
			known++
			fields[field.Name] = c.part(step{name: field.Name}, field.Type, value)
		} else if field.Type.NonNull && field.DefaultValue == nil {
			c.failAt(field.Name, "must be defined")
		}
	}
	if known < len(fields) {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if definition.Fields.ForName(name) == nil {
				c.failAt(name, "unknown field")
			}
		}
	}
}

// keepOneField reports whether there is exactly one field that is not null, and then
// removes the others. The specification (3.10.1) refuses those, too; generated
// clients that cannot leave fields out, such as genqlient's, send them.
func keepOneField(fields map[string]any) bool {
	given := 0
	for _, value := range fields {
		if value != nil {
			given++
		}
	}
	if given != 1 {
		return false
	}
	maps.DeleteFunc(fields, func(_ string, value any) bool { return value == nil })
	return true
}
