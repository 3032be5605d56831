package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/graph/graphtest"
)

// leaf is a scalar or enum of an input, and an argument which has $x there.
type leaf struct {
	name, argument string
	of             *ast.Definition
}

// leaves returns the leaves of an argument, or of a field of an input, except the
// ones that were seen already.
func (c *caller) leaves(owner, name string, of *ast.Type, seen map[string]bool) []leaf {
	d := c.schema.Types[of.Name()]
	if d.Kind != ast.InputObject {
		at := owner + "." + name
		if seen[at] {
			return nil
		}
		seen[at] = true
		return []leaf{{name: at, argument: c.wrap(of, "$x"), of: d}}
	}
	var all []leaf
	for _, f := range d.Fields {
		for _, l := range c.leaves(d.Name, f.Name, f.Type, seen) {
			with := *c
			with.instead = l.argument
			l.argument = c.wrap(of, with.inputWith(d, f.Name))
			all = append(all, l)
		}
	}
	return all
}

// arounds are the operations in which a field of each type can stand.
var arounds = map[string]string{
	"Query":        "query($x: %s!) { %s }",
	"Mutation":     "mutation($x: %s!) { %s }",
	"User":         `query($x: %s!) { user(by: {email: "ada@example.com"}) { %s } }`,
	"Organization": `query($x: %s!) { organization(by: {code: "acme"}) { %s } }`,
	"Role":         `query($x: %s!) { role(by: {key: "clerk"}) { %s } }`,
	"Permission":   `query($x: %s!) { permission(by: {key: "invoices:read"}) { %s } }`,
	"Membership":   `query($x: %s!) { user(by: {email: "ada@example.com"}) { membership(organization: {code: "acme"}) { %s } } }`,
	"Import":       "query($x: %s!) { imports { nodes { %s } } }",
	"Viewer":       "query($x: %s!) { viewer { %s } }",
	"Impact":       `mutation($x: %s!) @dryRun { suspendOrganization(input: {organization: {code: "acme"}}) { impact { %s } } }`,
}

// everyLeaf calls visit for every leaf of every input of the schema, with an operation whose
// variable $x stands there. A new argument or field takes part by itself.
func (c *caller) everyLeaf(t *testing.T, visit func(l leaf, query string)) {
	t.Helper()
	seen := map[string]bool{}
	for _, owner := range c.schema.Types {
		if owner.Kind != ast.Object || strings.HasPrefix(owner.Name, "__") {
			continue
		}
		for _, f := range ownFields(owner) {
			for _, argument := range f.Arguments {
				for _, l := range c.leaves(owner.Name+"."+f.Name, argument.Name, argument.Type, seen) {
					around, ok := arounds[owner.Name]
					if !ok {
						t.Errorf("%s needs an operation in arounds", owner.Name)
						continue
					}
					with := *c
					with.place, with.instead = argument.Name, l.argument
					call := with.call(owner.Name, f)
					if strings.Contains(l.argument+call, "null") {
						t.Errorf("%s has no sample beside it: add one to samples", l.name)
					}
					if strings.Contains(call, "$file") {
						around = strings.Replace(around, "($x", "($file: Upload!, $x", 1)
					}
					visit(l, fmt.Sprintf(around, l.of.Name, call))
				}
			}
		}
	}
	if len(seen) < 80 {
		t.Errorf("%d leaves", len(seen))
	}
}

// Text that the database cannot hold is refused where it stands, and text that looks like its
// escape is text like other text, at every leaf of every input.
func TestZeroCharacters(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	c := newCaller(t, b)
	zero := map[string][]any{"String": {"\x00", "a\x00b"}, "ID": {"\x00", "user_\x00"}, "JSON": {object{"a\x00": "b"}, object{"a": []any{"\x00"}}}}
	looks := map[string]any{"String": `a\u0000b`, "ID": `\u0000`, "JSON": object{`a\u0000`: `\u0000`}}
	c.everyLeaf(t, func(l leaf, query string) {
		_, field, _ := strings.Cut(l.name, ".")
		field = field[strings.LastIndexByte(field, '.')+1:]
		for _, value := range zero[l.of.Name] {
			a := b.As(t, b.Key, query, object{"x": value})
			badInput(t, l.name, a)
			if len(a.Errors) > 0 && !strings.Contains("."+a.Field(0)+".", "."+field+".") && !strings.Contains("."+a.Field(0)+".", ".x.") {
				t.Errorf("%s with %q: blamed is %q: %s\n%s", l.name, value, a.Field(0), a.Body, query)
			}
		}
		if value, is := looks[l.of.Name]; is {
			if a := b.As(t, b.Key, query, object{"x": value}); slices.Contains(strings.Fields(a.Codes()), "INTERNAL") || a.Status >= 500 {
				t.Errorf("%s with %q: %.500s", l.name, value, a.Body)
			}
		}
	})
}
