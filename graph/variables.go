package graph

import (
	"errors"
	"regexp"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
)

// coerced reads the variables of an operation (GraphQL specification, 6.1.2),
// and holds them to @oneOf.
func coerced(schema *ast.Schema, operation *ast.OperationDefinition, given map[string]any) (map[string]any, gqlerror.List) {
	variables, err := validator.VariableValues(schema, operation, given)
	if err != nil {
		return nil, gqlerror.List{variableError(err)}
	}
	return variables, checkOneOf(schema, operation, variables)
}

var (
	ofType     = regexp.MustCompile(`^(?:cannot use .* as|.* is not a valid|must be a) ([_A-Za-z][_0-9A-Za-z]*)(?:, not a [a-z0-9 {}*]+)?$`)
	plainWords = regexp.MustCompile(`^(must be defined|cannot be null|unknown field|must an input type)$`)
	plainName  = regexp.MustCompile(`^[_A-Za-z][_0-9A-Za-z]{0,127}$`)
)

// variableError tells what is wrong with a variable, without its value, which
// gqlparser quotes, and without the words of Go.
func variableError(err error) *gqlerror.Error {
	shown := &gqlerror.Error{Message: "is not valid"}
	found, ok := errors.AsType[*gqlerror.Error](err)
	if !ok {
		return shown
	}
	shown.Path = namedPath(found.Path)
	message := strings.ReplaceAll(found.Message, "\n", " ")
	if plainWords.MatchString(message) {
		shown.Message = message
	} else if match := ofType.FindStringSubmatch(message); match != nil {
		shown.Message = "must be of the type " + match[1]
	}
	return shown
}

// namedPath is a path as far as it consists of names: the fields of an input are
// what the client says.
func namedPath(path ast.Path) ast.Path {
	for i, step := range path {
		if name, ok := step.(ast.PathName); ok && !plainName.MatchString(string(name)) {
			return path[:i]
		}
	}
	return path
}
