package graph_test

import (
	"bufio"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/access"
	"roster/graph/graphtest"
)

// The tests of this file are over the schema alone.

var contractFiles = flag.String("contract", "", "rewrite testdata/contract.txt from these schemas, separated by commas")

const contractList = "testdata/contract.txt"

// ownTypes returns the types that are not GraphQL's own, in order of name.
func ownTypes(schema *ast.Schema) []*ast.Definition {
	var own []*ast.Definition
	for _, name := range slices.Sorted(maps.Keys(schema.Types)) {
		if d := schema.Types[name]; !d.BuiltIn && !strings.HasPrefix(name, "__") {
			own = append(own, d)
		}
	}
	return own
}

// ownFields returns the fields of a type, without those of introspection.
func ownFields(d *ast.Definition) ast.FieldList {
	return slices.DeleteFunc(slices.Clone(d.Fields), func(f *ast.FieldDefinition) bool { return strings.HasPrefix(f.Name, "__") })
}

func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	schema := graphtest.LoadSchema(t, "../schema.graphqls")
	check := func(what, description string, directives ast.DirectiveList) {
		if strings.TrimSpace(description) == "" {
			t.Errorf("%s has no description", what)
		}
		deprecated := directives.ForName("deprecated")
		if deprecated == nil {
			return
		}
		if reason := deprecated.Arguments.ForName("reason"); reason == nil || strings.TrimSpace(reason.Value.Raw) == "" {
			t.Errorf("%s is deprecated without a reason", what)
		}
	}
	arguments := func(of string, list ast.ArgumentDefinitionList) {
		for _, a := range list {
			check(of+"("+a.Name+":)", a.Description, a.Directives)
		}
	}
	for _, d := range ownTypes(schema) {
		check(d.Name, d.Description, d.Directives)
		for _, f := range ownFields(d) {
			check(d.Name+"."+f.Name, f.Description, f.Directives)
			arguments(d.Name+"."+f.Name, f.Arguments)
		}
		for _, v := range d.EnumValues {
			check(d.Name+"."+v.Name, v.Description, v.Directives)
		}
	}
	for _, name := range []string{"requires", "dryRun", "endsAccess", "credential"} {
		d := schema.Directives[name]
		check("@"+name, d.Description, nil)
		arguments("@"+name, d.Arguments)
	}
}

// What @requires says can be held by somebody.
func TestRequiredPermissionsExist(t *testing.T) {
	t.Parallel()
	for _, d := range ownTypes(graphtest.LoadSchema(t, "../schema.graphqls")) {
		for _, f := range d.Fields {
			need := requirement(f)
			known := slices.ContainsFunc(access.SystemPermissions, func(p access.SystemPermission) bool { return string(p.Key) == need })
			if need != "" && !known {
				t.Errorf("%s.%s requires %s, which does not exist", d.Name, f.Name, need)
			}
		}
	}
}

// requirement is the permission that a field requires; empty for none.
func requirement(f *ast.FieldDefinition) string {
	if d := f.Directives.ForName("requires"); d != nil {
		return d.Arguments.ForName("permission").Value.Raw
	}
	return ""
}

// additions are what the schema has beyond the contract, which must be such that
// no client notices: new types, fields, values and optional arguments.
var additions = []string{"ApiKeyPayload.impact", "FormerKey", "FormerKey.key", "FormerKey.until", "Permission.formerKeys", "Query.errorCodes"}

// Clients are written against the contract, which is ahead of the schema: what
// the schema has of it, it has as it stands there. After a change of the contract,
//
//	go test ./graph -run Contract -contract=../schema.graphqls,PATH
//
// writes the list anew from the schema and from a file that extends it.
func TestSchemaKeepsTheContract(t *testing.T) {
	t.Parallel()
	if *contractFiles != "" {
		lines := signatures(graphtest.LoadSchema(t, strings.Split(*contractFiles, ",")...))
		graphtest.Must(t, os.WriteFile(contractList, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	}
	contract := map[string]string{}
	file, err := os.Open(contractList)
	graphtest.Must(t, err)
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		name, what, _ := strings.Cut(s.Text(), " = ")
		contract[name] = what
	}
	has := map[string]bool{}
	for _, line := range signatures(graphtest.LoadSchema(t, "../schema.graphqls")) {
		name, what, _ := strings.Cut(line, " = ")
		has[name] = true
		if want, known := contract[name]; known && want != what {
			t.Errorf("%s is %s, but %s by the contract", name, what, want)
		} else if !known && !slices.Contains(additions, name) {
			t.Errorf("%s is not in the contract", name)
		}
	}
	for name := range contract {
		if field, _, isArgument := strings.Cut(name, "("); isArgument && has[field] && !has[name] {
			t.Errorf("%s of the contract is missing", name)
		}
	}
}

// signatures returns a line for each thing in the schema that clients depend upon.
func signatures(schema *ast.Schema) []string {
	var lines []string
	add := func(name, what string) { lines = append(lines, name+" = "+what) }
	typed := func(t *ast.Type, value *ast.Value) string {
		if value == nil {
			return t.String()
		}
		return t.String() + " default " + value.String()
	}
	for _, d := range ownTypes(schema) {
		kind := string(d.Kind)
		if d.Directives.ForName("oneOf") != nil {
			kind += " @oneOf"
		}
		add(d.Name, kind)
		for _, member := range d.Types {
			add(d.Name+" | "+member, "true")
		}
		for _, i := range d.Interfaces {
			add(d.Name+" implements "+i, "true")
		}
		for _, v := range d.EnumValues {
			add(d.Name+"."+v.Name, "value")
		}
		for _, f := range ownFields(d) {
			add(d.Name+"."+f.Name, typed(f.Type, f.DefaultValue))
			for _, a := range f.Arguments {
				add(d.Name+"."+f.Name+"("+a.Name+":)", typed(a.Type, a.DefaultValue))
			}
		}
	}
	return lines
}
