package graph_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Every ErrorCode occurs, in these words.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ask(t, deniedSeed)
	reader := b.holding(t, "", "roster:users:read")
	granter := b.holding(t, "", "roster:members:write", "roster:members:read", "roster:organizations:read", "roster:users:read", "roster:roles:read")
	own := b.ask(t, "{viewer{apiKey{id}}}").text("viewer.apiKey.id")
	known := map[string]bool{}
	for _, c := range []struct{ code, key, query, header, message, field string }{
		{"INVALID", b.key, "{nothing}", "", `Cannot query field "nothing" on type "Query".`, ""},
		{"INVALID", b.key, "{users(first:101){totalCount nodes{id}}}", "", "first must be from 1 to 100.", "first"},
		{"UNAUTHENTICATED", "", "{users{totalCount}}", "", "This needs a credential: send an API key as \"Authorization: Bearer rk_…\".", ""},
		{"UNAUTHENTICATED", "rk_unknown", "{users{totalCount}}", "", "This API key is unknown, or no longer valid.", ""},
		{"FORBIDDEN", reader, "{settings{allowSelfSignUp}}", "", "This needs the permission roster:settings:read.", ""},
		{"NOT_FOUND", b.key, `mutation{suspendUser(input:{user:{email:"nobody@example.com"}}){user{id}}}`, "", "There is no such user.", "input.user"},
		{"CONFLICT", b.key, `mutation{createPermission(input:{key:"invoices:read"}){permission{id}}}`, "", "Another permission has this key.", "input.key"},
		{"LAST_ORGANIZATION", b.key, `mutation{
			a:removeMembers(input:{organization:{code:"acme"},users:[{email:"ada@example.com"}]}){deletedIds}
			b:removeMembers(input:{organization:{code:"default"},users:[{email:"ada@example.com"}]}){deletedIds}}`, "", "The user belongs to no other organization.", "input.users.0"},
		{"LAST_ADMINISTRATOR", b.key, `mutation{revokeApiKey(input:{apiKey:"` + own + `"}){apiKey{id}}}`, "", "Nobody could administer the business any more.", "input"},
		{"ROLLED_BACK", b.key, `mutation{
			a:createPermission(input:{key:"x:y"}){permission{id}}
			b:createPermission(input:{key:"invoices:read"}){permission{id}}}`, "", "Nothing of this was done, since another field of the document failed.", ""},
		{"ESCALATION", granter, `mutation{grantPermissions(input:{organization:{code:"acme"},users:[{email:"ada@example.com"}],permissions:[{key:"invoices:read"}]}){memberships{id}}}`, "", "You cannot hand out what you do not hold: invoices:read.", ""},
		{"LIMITED", b.key, "{" + strings.Repeat("__typename ", 6000) + "}", "", "The document has 6000 fields, with fragments spread; at most 5000 are allowed.", ""},
		{"STALE", b.key, "{__typename}", "999999999:999999999:", "The stated revision was not reached in time.", ""},
		{"INTERNAL", b.key, "{users{nodes{name}}}", "broken", "Internal server error.", ""},
	} {
		known[c.code] = true
		header := headers(c.key)
		if c.header == "broken" {
			b.execute(t, "alter table users rename to lost")
		} else if c.header != "" {
			header.Set("Roster-At-Least", c.header)
		}
		a := b.send(t, http.MethodPost, "/graphql", header, []byte(`{"query":`+quoted(c.query)+`}`))
		checkAnswer(t, a)
		found := false
		for i, e := range a.Errors {
			found = found || e.Extensions["code"] == c.code && (c.message == "" || e.Message == c.message) && (c.field == "" || a.field(i) == c.field)
		}
		if !found {
			t.Errorf("%s: %d %s\nwant %q at %q", c.code, a.Status, a.Body, c.message, c.field)
		}
	}
	for _, value := range loadSchema(t, "../schema.graphqls").Types["ErrorCode"].EnumValues {
		if _, excused := codesWithoutGolden[value.Name]; !known[value.Name] && !excused {
			t.Errorf("%s does not occur; these do: %v", value.Name, slices.Sorted(maps.Keys(known)))
		}
	}
}
