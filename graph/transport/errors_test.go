package transport_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

// Every ErrorCode occurs, in these words.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	b.Ask(t, `mutation {
		createUser(input: {email: "eve@example.com"}) { user { id } }
		updateSettings(input: {allowSelfSignUp: false}) { settings { allowSelfSignUp } }
	}`)
	b.SignedIn(t, "eve@example.com", "default")
	b.Ask(t, `mutation { suspendUser(input: {user: {email: "eve@example.com"}}) { user { id } } }`)
	reader := b.Holding(t, "", "roster:users:read")
	granter := b.Holding(t, "", "roster:members:write", "roster:members:read", "roster:organizations:read", "roster:users:read", "roster:roles:read")
	own := b.Ask(t, "{viewer{apiKey{id}}}").Text("viewer.apiKey.id")
	known := map[string]bool{}
	for _, c := range []struct{ code, key, query, header, message, field string }{
		{"INVALID", b.Key, "{nothing}", "", `Cannot query field "nothing" on type "Query".`, ""},
		{"INVALID", b.Key, "{users(first:101){totalCount nodes{id}}}", "", "first must be from 1 to 100.", "first"},
		{"UNAUTHENTICATED", "", "{users{totalCount}}", "", "This needs a credential: sign in, or send an API key as \"Authorization: Bearer rk_…\".", ""},
		{"UNAUTHENTICATED", "rk_unknown", "{users{totalCount}}", "", "This API key is unknown, or no longer valid.", ""},
		{"FORBIDDEN", reader, "{settings{allowSelfSignUp}}", "", "This needs the permission roster:settings:read.", ""},
		{"NOT_FOUND", b.Key, `mutation{suspendUser(input:{user:{email:"nobody@example.com"}}){user{id}}}`, "", "There is no such user.", "input.user"},
		{"CONFLICT", b.Key, `mutation{createPermission(input:{key:"invoices:read"}){permission{id}}}`, "", "Another permission has this key.", "input.key"},
		{"LAST_ORGANIZATION", b.Key, `mutation{
			a:removeMembers(input:{organization:{code:"acme"},users:[{email:"ada@example.com"}]}){deletedIds}
			b:removeMembers(input:{organization:{code:"default"},users:[{email:"ada@example.com"}]}){deletedIds}}`, "", "The user belongs to no other organization.", "input.users.0"},
		{"LAST_ADMINISTRATOR", b.Key, `mutation{revokeApiKey(input:{apiKey:"` + own + `"}){apiKey{id}}}`, "", "Nobody could administer the business any more.", "input"},
		{"ROLLED_BACK", b.Key, `mutation{
			a:createPermission(input:{key:"x:y"}){permission{id}}
			b:createPermission(input:{key:"invoices:read"}){permission{id}}}`, "", "Nothing of this was done, since another field of the document failed.", ""},
		{"ESCALATION", granter, `mutation{grantPermissions(input:{organization:{code:"acme"},users:[{email:"ada@example.com"}],permissions:[{key:"invoices:read"}]}){memberships{id}}}`, "", "You cannot hand out what you do not hold: invoices:read.", ""},
		{"LIMITED", b.Key, "{" + strings.Repeat("__typename ", 6000) + "}", "", "The document has 6000 fields, with fragments spread; at most 5000 are allowed.", ""},
		{"STALE", b.Key, "{__typename}", "999999999:999999999:", "The stated revision was not reached in time.", ""},
		{"INVITATION_ONLY", "", `mutation{signUp(input:{email:"new@example.com"}){secret}}`, "", "Accounts are made by invitation only.", ""},
		{"SUSPENDED", "", `mutation{signIn(input:{email:"eve@example.com",password:"` + graphtest.Password + `"}){secret}}`, "", "This account is suspended. Ask an administrator.", ""},
		{"INTERNAL", b.Key, "{users{nodes{name}}}", "broken", "Internal server error.", ""},
	} {
		t.Run(c.code, func(t *testing.T) {
			known[c.code] = true
			header := graphtest.Headers(c.key)
			if c.header == "broken" {
				b.Execute(t, "alter table users rename to lost")
			} else if c.header != "" {
				header.Set("Roster-At-Least", c.header)
			}
			a := b.Send(t, http.MethodPost, "/graphql", header, []byte(`{"query":`+graphtest.Quote(c.query)+`}`))
			checkAnswer(t, a)
			found := false
			for i, e := range a.Errors {
				found = found || e.Extensions["code"] == c.code && (c.message == "" || e.Message == c.message) && (c.field == "" || a.Field(i) == c.field)
			}
			if !found {
				t.Errorf("%s: %d %s\nwant %q at %q", c.code, a.Status, a.Body, c.message, c.field)
			}
		})
	}
	for _, value := range graphtest.LoadSchema(t, "../../schema.graphqls").Types["ErrorCode"].EnumValues {
		if !known[value.Name] && value.Name != "UNAVAILABLE" { // TestOverload
			t.Errorf("%s does not occur; these do: %v", value.Name, slices.Sorted(maps.Keys(known)))
		}
	}
}
