package graph_test

import (
	"strings"
	"testing"

	"roster/graph/graphtest"
)

// Tools that read the schema know the GraphQL that was released: graphql-core for
// Python fails on a location of directives that it has not heard of. And they use
// what they are told there is.
func TestIntrospectionTellsOfNothingElse(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	a := b.Ask(t, `{ __schema { directives { name locations } } __type(name: "__DirectiveLocation") { enumValues { name } } }`)
	if got, want := strings.Join(a.Texts("__schema.directives", "name"), " "), "credential deprecated dryRun endsAccess include oneOf requires skip specifiedBy"; got != want {
		t.Errorf("directives %s, want %s", got, want)
	}
	if strings.Contains(string(a.Body), "DIRECTIVE_DEFINITION") {
		t.Errorf("%s", a.Body)
	}
}
