package execute_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// TestErrors expects exactly these errors at exactly these paths.
func TestErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ document, want string }{
		"the error of all parents is reported at the first": {
			`{ users(first: 3) { nodes { name broken } } }`,
			`{'errors':[{'message':'it is broken','path':['users','nodes',0,'broken']}],'data':{'users':{'nodes':[` +
				`{'name':'user 1','broken':null},{'name':'user 2','broken':null},{'name':'user 3','broken':null}]}}}`,
		},
		"the first parent that is written": {
			`{ users(first: 3) { nodes { boss { brokenTeam { id } } } } }`,
			`{'errors':[{'message':'the team is broken','path':['users','nodes',1,'boss','brokenTeam']}],'data':{'users':{'nodes':[` +
				`{'boss':null},{'boss':null},{'boss':null}]}}}`,
		},
		"the errors of single parents are reported at each": {
			`{ users(first: 5) { nodes { risky } } }`,
			`{'errors':[{'message':'risk came true for user 1','path':['users','nodes',0,'risky']},` +
				`{'message':'risk came true for user 4','path':['users','nodes',3,'risky']}],'data':{'users':{'nodes':[` +
				`{'risky':null},{'risky':null},{'risky':3},{'risky':null},{'risky':5}]}}}`,
		},
		"a panic is an error of its field": {
			`{ user(id: "1") { name panics } }`,
			`{'errors':[{'message':'panic','path':['user','panics']}],'data':{'user':{'name':'user 1','panics':null}}}`,
		},
		"a forbidden null removes its parents": {
			`{ nodes(ids: ["u4"]) { ... on User { name email } } users(first: 4) { nodes { email } } }`,
			`{'errors':[{'message':'cannot return null for non-null field User.email (String!): the value was nil','path':['nodes',0,'email']},` +
				`{'message':'cannot return null for non-null field User.email (String!): the value was nil','path':['users','nodes',3,'email']}],'data':null}`,
		},
		"a null element is named": {
			`{ users(first: 1) { nodes { pals { id } } } }`,
			`{'errors':[{'message':'cannot return null for non-null element of field User.pals (User!): the list element was nil',` +
				`'path':['users','nodes',0,'pals',1]}],'data':{'users':{'nodes':[{'pals':null}]}}}`,
		},
		"the path in an argument follows the path of the field": {
			`{ a: users(filter: {since: "never"}) { totalCount } }`,
			`{'errors':[{'message':'parsing time \'never\' as \'2006-01-02T15:04:05Z07:00\': cannot parse \'never\' as \'2006\'','path':['a','filter','since']}],'data':null}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if got := text(t, answer(t, b.executor, test.document, "")); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestTypesThatAppendThemselves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := text(t, answer(t, b.executor, `{ users(first: 2) { nodes { id raw stamps } } }`, ""))
	want := `{'data':{'users':{'nodes':[{'id':'1','raw':{'n':1},'stamps':['1','2']},{'id':'2','raw':null,'stamps':null}]}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var document strings.Builder
	for _, alias := range "abcdefghi" {
		fmt.Fprintf(&document, "%c: users(first: 12) { nodes { risky } } ", alias)
	}
	if got := answer(t, b.executor, "{"+document.String()+"}", ""); len(got.Errors) != 20 {
		t.Errorf("%d errors", len(got.Errors))
	}
}

func TestPresent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.schema.Present = func(_ context.Context, err error, field string, path ast.Path) []*gqlerror.Error {
		return []*gqlerror.Error{{Message: field + ": " + err.Error()}, {Message: "second", Path: path[:1]}}
	}
	got := text(t, answer(t, b.executor, `{ user(id: "1") { broken } }`, ""))
	want := `{'errors':[{'message':'User.broken: it is broken','path':['user','broken']},{'message':'second','path':['user']}],'data':{'user':{'broken':null}}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestContextEndsTheOperation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.resolver.Watch = func(context.Context, string) { cancel() }
	got := text(t, answerTo(ctx, t, b.executor, `{ users { nodes { team { members { id } } } } now }`, "", false))
	if want := `{'errors':[{'message':'context canceled'}],'data':null}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if calls := b.resolver.Calls(); len(calls) != 1 {
		t.Errorf("calls: %v", calls)
	}
}

func TestIntrospectionCanBeDisabled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := text(t, answerTo(t.Context(), t, b.executor, `{ now __type(name: "User") { name } }`, "", true))
	want := `{'errors':[{'message':'introspection disabled','path':['__type']}],'data':{'now':'2026-11-23T08:00:00.000000Z','__type':null}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSubscriptionsAreRefused(t *testing.T) {
	t.Parallel()
	op := &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Subscription}}
	response := setup(t).schema.Exec(graphql.WithOperationContext(t.Context(), op))(t.Context())
	if len(response.Errors) != 1 {
		t.Error(response)
	}
}
