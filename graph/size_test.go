//go:build !race

// The race detector slows down what is measured here.

package graph_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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

// What stands in an input takes no more work because it is large: 1 MiB (4 MiB with
// -long) of what is most expensive to normalise costs, besides reading it, what 4 KiB
// do, at every leaf of every input. A new argument or field takes part by itself.
func TestSizeIsLookedAtBeforeWork(t *testing.T) {
	b := graphtest.New(t)
	c := newCaller(t, b)
	text := func(size int) string { // grows most, and has the longest row of marks
		return strings.Repeat("ﷺ", size/6) + "a" + strings.Repeat("\u0301", size/4)
	}
	quoted := func(text string) string { // once for each text: it takes longer than reading it
		quoted, err := json.Marshal(text)
		graphtest.Must(t, err)
		return string(quoted)
	}
	cost := func(query, x, beside string) (allocated uint64, took time.Duration, a *graphtest.Answer) {
		body := []byte(`{"query": ` + quoted(query) + `, "variables": {"x": ` + x + `}, "extensions": {"x": ` + beside + `}}`)
		before, began := graphtest.Allocated(), graphtest.ProcessorTime(t)
		a = b.Send(t, "POST", "/graphql", graphtest.Headers(b.Key), body)
		return graphtest.Allocated() - before, graphtest.ProcessorTime(t) - began, a
	}
	size := 1 << 20
	if *isLong {
		size = 4 << 20
	}
	small, large, nothing := quoted(text(4<<10)), quoted(text(size-8<<10)), `""`
	moreBytes, moreTime := uint64(size)/4, 50*time.Millisecond+100*time.Millisecond*time.Duration(size)/(4<<20)
	reading, readingTime, _ := cost("query($x: String!) { user(by: {id: $x}) { id } }", nothing, large)
	seen, tried := map[string]bool{}, 0
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
					query := fmt.Sprintf(around, l.of.Name, with.call(owner.Name, f))
					bytes, took, _ := cost(query, small, nothing)
					largeBytes, largeTook, a := cost(query, large, nothing)
					tried++
					isDear := func() bool {
						return largeBytes > bytes+reading+moreBytes || largeTook > took+readingTime+moreTime
					}
					for again := 0; isDear() && again < 3; again++ { // the server does other things beside
						nextBytes, nextTook, _ := cost(query, large, nothing)
						largeBytes, largeTook = min(largeBytes, nextBytes), min(largeTook, nextTook)
					}
					if isDear() {
						t.Errorf("%s takes %d KiB and %v, with little %d KiB and %v, reading %d KiB and %v\n%s", l.name, largeBytes>>10, largeTook, bytes>>10, took, reading>>10, readingTime, query)
					}
					if slices.Contains(strings.Fields(a.Codes()), "INTERNAL") || strings.Contains(string(a.Body), "ﷺ") {
						t.Errorf("%s: %.500s", l.name, a.Body)
					}
				}
			}
		}
	}
	if tried < 80 {
		t.Errorf("%d leaves", tried)
	}
}
