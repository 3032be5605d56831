package demo

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"

	"roster/access"
	"roster/db"
)

// names follows documents as the directory would, as far as names are concerned.
// It knows what was made, renamed and deleted, and reports references to what does
// not exist.
type names struct {
	schema *ast.Schema
	// owner holds the number of the object that a name belongs to. Objects are
	// numbered as they are made; Roster's own have the number 0.
	owner map[name]int
	// made counts the objects by kind of reference.
	made map[string]int
}

// name is one name of an object, such as UserRef, email, ada@acme.example.
type name struct{ kind, field, folded string }

func newNames(schema *ast.Schema) *names {
	n := &names{schema: schema, owner: map[name]int{}, made: map[string]int{}}
	n.owner[name{kind: "OrganizationRef", field: "code", folded: "default"}] = 0
	n.owner[name{kind: "OrganizationRef", field: "code", folded: "roster"}] = 0
	for _, role := range access.SystemRoles {
		n.owner[name{kind: "RoleRef", field: "key", folded: role.Key}] = 0
	}
	for _, permission := range access.SystemPermissions {
		n.owner[name{kind: "PermissionRef", field: "key", folded: string(permission.Key)}] = 0
	}
	return n
}

// follow carries out one operation. It reports names that are missing or taken.
func (n *names) follow(t *testing.T, document string, operation *ast.OperationDefinition, variables map[string]any) {
	t.Helper()
	values, err := validator.VariableValues(n.schema, operation, variables)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	n.fields(t, document, operation.SelectionSet, values)
}

func (n *names) fields(t *testing.T, path string, selection ast.SelectionSet, variables map[string]any) {
	t.Helper()
	for _, s := range selection {
		switch s := s.(type) {
		case *ast.InlineFragment:
			n.fields(t, path, s.SelectionSet, variables)
		case *ast.FragmentSpread:
			n.fields(t, path, s.Definition.SelectionSet, variables)
		case *ast.Field:
			path := path + ": " + s.Alias
			arguments := s.ArgumentMap(variables)
			for _, argument := range s.Definition.Arguments {
				n.refer(t, path, argument.Name, argument.Type, arguments[argument.Name])
			}
			if input, ok := arguments["input"].(map[string]any); ok {
				n.apply(t, path, s.Name, input)
			}
			n.fields(t, path, s.SelectionSet, variables)
		}
	}
}

// refer reports references to missing objects in a value of an input type.
func (n *names) refer(t *testing.T, path, key string, of *ast.Type, value any) {
	t.Helper()
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			n.refer(t, path, key, of.Elem, element)
		}
	case map[string]any:
		for _, field := range n.schema.Types[of.Name()].Fields {
			text, isText := value[field.Name].(string)
			if isText && strings.HasSuffix(of.Name(), "Ref") {
				n.find(t, path, name{kind: of.Name(), field: field.Name, folded: db.Fold(text)})
				continue
			}
			n.refer(t, path, field.Name, field.Type, value[field.Name])
		}
	case string:
		if key == "permission" || key == "can" {
			n.find(t, path, name{kind: "PermissionRef", field: "key", folded: value})
		}
	}
}

func (n *names) find(t *testing.T, path string, one name) int {
	t.Helper()
	owner, found := n.owner[one]
	if !found {
		t.Errorf("%s: no %v was made before", path, one)
	}
	return owner
}

// apply changes the names as the mutation does.
func (n *names) apply(t *testing.T, path, mutation string, input map[string]any) {
	t.Helper()
	switch mutation {
	case "createUser":
		n.add(t, path, "UserRef", input, n.next("UserRef"))
	case "createOrganization":
		n.add(t, path, "OrganizationRef", input, n.next("OrganizationRef"))
	case "createRole":
		n.add(t, path, "RoleRef", input, n.next("RoleRef"))
	case "createPermission":
		n.add(t, path, "PermissionRef", input, n.next("PermissionRef"))
	case "updateUser":
		user := n.userOf(t, path, input)
		n.drop(user, func(field string) bool { _, changes := input[field]; return changes })
		n.add(t, path, "UserRef", input, user)
	case "deleteUser":
		n.drop(n.userOf(t, path, input), func(string) bool { return true })
	}
}

func (n *names) next(kind string) int {
	n.made[kind]++
	return n.made[kind]
}

func (n *names) userOf(t *testing.T, path string, input map[string]any) int {
	t.Helper()
	for field, value := range input["user"].(map[string]any) {
		return n.find(t, path, name{kind: "UserRef", field: field, folded: db.Fold(value.(string))})
	}
	return 0
}

func (n *names) add(t *testing.T, path, kind string, input map[string]any, owner int) {
	t.Helper()
	for _, field := range n.schema.Types[kind].Fields {
		text, given := input[field.Name].(string)
		one := name{kind: kind, field: field.Name, folded: db.Fold(text)}
		if _, taken := n.owner[one]; given && taken {
			t.Errorf("%s: %v is taken", path, one)
		} else if given {
			n.owner[one] = owner
		}
	}
}

func (n *names) drop(user int, which func(field string) bool) {
	for one, owner := range n.owner {
		if one.kind == "UserRef" && owner == user && which(one.field) {
			delete(n.owner, one)
		}
	}
}
