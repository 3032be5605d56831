package execute_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"roster/graph/execute"
)

// selected runs a document and returns the result of look in the named resolver.
func selected[T any](t *testing.T, document, resolver string, look func(execute.Selected) T) (seen T) {
	t.Helper()
	b := setup(t)
	b.resolver.Watch = func(ctx context.Context, name string) {
		if name == resolver {
			seen = look(execute.Selection(ctx))
		}
	}
	if got := answer(t, b.executor, document, ""); len(got.Errors) > 0 {
		t.Fatal(got.Errors)
	}
	return seen
}

func names(s execute.Selected) (names []string) {
	for _, f := range s.Fields() {
		names = append(names, f.Name)
	}
	return names
}

func TestSelection(t *testing.T) {
	t.Parallel()
	const users = `query ($no: Boolean = false) { users { __typename pageInfo { endCursor }
		nodes { id ...U team @include(if: $no) { id } } edges { node { named: name s: status } } } }
		fragment U on User { id one: friends(first: 1) { nick } two: friends { boss { age } } }`
	const search = `{ search { ... on Named { name } ... on User { team { id } } ... on Robot { model } } }`
	tests := map[string]struct {
		document, resolver string
		look               func(execute.Selected) []string
		want               []string
	}{
		"fields": {document: users, resolver: "Query.users", look: names, want: []string{"pageInfo", "nodes", "edges"}},
		"below": {
			document: users, resolver: "Query.users",
			look: func(s execute.Selected) []string { return names(s.At("pageInfo")) },
			want: []string{"endCursor"},
		},
		"nodes of a connection": {
			document: users, resolver: "Query.users",
			look: func(s execute.Selected) []string { return names(s.Node()) },
			want: []string{"id", "friends", "name", "status"},
		},
		"aliases together": {
			document: users, resolver: "Query.users",
			look: func(s execute.Selected) []string { return names(s.Node().At("friends")) },
			want: []string{"nick", "boss"},
		},
		"one alias at a time": {document: `{ user(id: "1") { friends { nick } } }`, resolver: "User.friends", look: names, want: []string{"nick"}},
		"nothing below": {
			document: users, resolver: "Query.users",
			look: func(s execute.Selected) []string { return names(s.At("totalCount", "x")) },
			want: nil,
		},
		"abstract": {document: search, resolver: "Query.search", look: names, want: []string{"name", "team", "name", "name", "model"}},
		"one type of an abstract": {
			document: search, resolver: "Query.search",
			look: func(s execute.Selected) []string { return names(s.On("User")) },
			want: []string{"name", "team"},
		},
		"a scalar": {document: `{ now }`, resolver: "Query.now", look: names, want: nil},
		"go names": {
			document: `{ user(id: "1") { id createdAt } }`, resolver: "Query.user",
			look: func(s execute.Selected) []string { return []string{s.Fields()[0].GoName, s.Fields()[1].GoName} },
			want: []string{"ID", "CreatedAt"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := selected(t, test.document, test.resolver, test.look); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSelectionHas(t *testing.T) {
	t.Parallel()
	const document = `{ users { nodes { boss { email } } edges { cursor } } }`
	for path, want := range map[[3]string]bool{
		{"nodes", "boss", "email"}: true,
		{"nodes", "boss", "name"}:  false,
		{"edges", "boss", "email"}: false,
		{"pageInfo", "x", "y"}:     false,
	} {
		t.Run(strings.Join(path[:], "."), func(t *testing.T) {
			t.Parallel()
			got := selected(t, document, "Query.users", func(s execute.Selected) bool { return s.Has(path[:]...) })
			if got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	if execute.Selection(t.Context()).Has("id") {
		t.Error("a field is selected outside of an operation")
	}
}
