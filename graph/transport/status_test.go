package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

// An operation of which nothing is left has the status of its first error, for clients
// that name the native media type: curl -f fails then. Whatever has data is 200, and so
// is everything for clients that take the status for the answer.
func TestStatusOfFailures(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	granter := b.Holding(t, "", "roster:members:write")
	const named = "application/graphql-response+json"
	const missing = `mutation { suspendUser(input: {user: {email: "nobody@example.com"}}) { user { id } } }`
	for name, c := range map[string]struct {
		key, accept, query string
		status             int
	}{
		"done":                      {b.Key, named, `mutation @dryRun { createUser(input: {email: "x@example.com"}) { user { id } } }`, 200},
		"missing":                   {b.Key, named, missing, 422},
		"missing, rehearsed":        {b.Key, named, strings.Replace(missing, "{", "@dryRun {", 1), 422},
		"invalid":                   {b.Key, named, `mutation { createUser(input: {email: "x"}) { user { id } } }`, 422},
		"taken":                     {b.Key, named, `mutation { createPermission(input: {key: "invoices:read"}) { permission { id } } }`, 409},
		"the second is taken":       {b.Key, named, `mutation { a: createPermission(input: {key: "x:y"}) { permission { id } } b: createPermission(input: {key: "invoices:read"}) { permission { id } } }`, 409},
		"not allowed":               {granter, named, `mutation { updateSettings(input: {allowSelfSignUp: false}) { settings { allowSelfSignUp } } }`, 403},
		"escalation":                {granter, named, `mutation { grantRoles(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], roles: [{key: "clerk"}]}) { memberships { id } } }`, 403},
		"nobody":                    {"", named, missing, 401},
		"a query without an answer": {"", named, `{ users { totalCount } }`, 401},
		"a query with some":         {granter, named, `{ errorCodes user(by: {email: "ada@example.com"}) { id } }`, 200},
		"one of several types":      {b.Key, "application/json;q=0.9, " + named, missing, 422},
		"the older type":            {b.Key, "application/json", missing, 200},
		"the older type preferred":  {b.Key, "application/json, " + named + ";q=0.5", missing, 200},
		"any type":                  {b.Key, "*/*", missing, 200},
		"none named":                {b.Key, "", missing, 200},
		"named, and not wanted":     {b.Key, "*/*, " + named + ";q=0", missing, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := graphtest.Headers(c.key)
			if c.accept != "" {
				header.Set("Accept", c.accept)
			}
			a := b.Send(t, http.MethodPost, "/graphql", header, []byte(`{"query":`+graphtest.Quote(c.query)+`}`))
			if a.Status != c.status || (a.Status >= 400) && (a.Data != nil || len(a.Errors) == 0) || (a.Status == http.StatusUnauthorized) != (a.Header.Get("Www-Authenticate") != "") {
				t.Errorf("%d, want %d: %v %s", a.Status, c.status, a.Header, a.Body)
			}
		})
	}
}
