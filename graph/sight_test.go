package graph_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/access"
	"roster/graph/graphtest"
)

// What callers see of users and API keys that they come upon: of those who granted
// something, and of those for whom a key stands.

const everythingOfKeys = `id name prefix organization { id } createdAt createdBy { __typename ... on System { name } } expiresAt lastUsedAt revokedAt user { id email name username phone externalId properties createdAt }`

// Members see that somebody granted them something, and nothing about the key that
// did it unless they manage it.
func TestGrantedByUnmanagedKeys(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	local := b.Holding(t, "acme", "roster:members:write", "invoices:read")
	a := b.As(t, local, `mutation { grantPermissions(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], permissions: [{key: "invoices:read"}]}) { memberships { id } } }`, nil)
	if a.Codes() != "" {
		t.Fatalf("%s", a.Body)
	}
	query := `{ organization(by: {code: "acme"}) { members { nodes { grants { __typename grantedBy { __typename ... on ApiKey { ` + everythingOfKeys + ` } } } } } } }`
	of := func(key string) (administrator, localKey map[string]any) {
		t.Helper()
		a := b.As(t, key, query, nil)
		for _, node := range a.List("organization.members.nodes") {
			for _, g := range graphtest.At(node, "grants").([]any) {
				by := graphtest.At(g, "grantedBy").(object)
				if graphtest.At(g, "__typename") == "RoleGrant" {
					administrator = by
				} else {
					localKey = by
				}
			}
		}
		if administrator == nil || localKey == nil {
			t.Fatalf("%s", a.Body)
		}
		return administrator, localKey
	}
	admin, its := of(b.Key)
	if admin["name"] != "Administrator" || admin["prefix"] == "rk_" || its["name"] == "Hidden API key" {
		t.Errorf("the administrator sees %v and %v", admin, its)
	}
	hidden := func(shown map[string]any) object {
		return object{
			"__typename": "ApiKey", "id": shown["id"], "createdAt": shown["createdAt"], "name": "Hidden API key", "prefix": "rk_", "organization": nil, "user": nil,
			"createdBy": object{"__typename": "System", "name": "hidden"}, "expiresAt": nil, "lastUsedAt": nil, "revokedAt": nil,
		}
	}
	for who, key := range map[string]string{
		"a member's key": b.Holding(t, "acme", "roster:organizations:read", "roster:members:read"), "a reader of everything": b.Holding(t, "", "roster:organizations:read", "roster:members:read", "roster:users:read"),
	} {
		seenAdmin, seenLocal := of(key)
		if fmt.Sprint(seenAdmin) != fmt.Sprint(hidden(admin)) || fmt.Sprint(seenLocal) != fmt.Sprint(hidden(its)) {
			t.Errorf("%s sees %v and %v", who, seenAdmin, seenLocal)
		}
	}
	seenAdmin, seenLocal := of(b.Holding(t, "acme", "roster:organizations:read", "roster:members:read", "roster:keys:write"))
	if fmt.Sprint(seenAdmin) != fmt.Sprint(hidden(admin)) || fmt.Sprint(seenLocal) != fmt.Sprint(its) {
		t.Errorf("the manager of the organization's keys sees %v and %v", seenAdmin, seenLocal)
	}

	// The same goes for users who did something.
	b.Ask(t, `mutation { stranger: createUser(input: {email: "stranger@example.com", phone: "+442079460958"}) { user { id } } }`)
	b.Execute(t, "update membership_roles set granted_by = '"+b.Ask(t, `{ user(by: {email: "stranger@example.com"}) { id } }`).Text("user.id")+"'")
	users := `{ organization(by: {code: "acme"}) { members { nodes { grants { grantedBy { ... on User { id email name phone } } } } } } }`
	for email, key := range map[string]string{
		"stranger@example.com": b.Key,
		"<nil>":                b.Holding(t, "acme", "roster:organizations:read", "roster:members:read", "roster:users:read"),
	} {
		by := graphtest.At(b.As(t, key, users, nil).List("organization.members.nodes")[0], "grants").([]any)[0]
		if got := fmt.Sprint(graphtest.At(by, "grantedBy.email")); got != email || (graphtest.At(by, "grantedBy.name") == "Hidden user") != (email == "<nil>") {
			t.Errorf("saw %v, want %s", by, email)
		}
	}
}

// ApiKey.user is nobody once the user has left the key's organization or is deleted,
// and has a profile for those only who may read the user.
func TestUsersOfKeys(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	made := b.Ask(t, `mutation {
		acme: createApiKey(input: {name: "in acme", permissions: [], organization: {code: "acme"}, user: {email: "ada@example.com"}}) { apiKey { id } }
		all: createApiKey(input: {name: "everywhere", permissions: [], user: {email: "ada@example.com"}}) { apiKey { id } }
	}`)
	ids := map[string]string{"acme": made.Text("acme.apiKey.id"), "all": made.Text("all.apiKey.id")}
	callers := map[string]string{
		"administrator": b.Key,
		"reader":        b.Holding(t, "acme", "roster:keys:write", "roster:users:read"),
		"manager":       b.Holding(t, "acme", "roster:keys:write", "roster:members:read"),
		"blind":         b.Holding(t, "", "roster:keys:write"),
	}
	// user returns what a caller sees of the user of a key, which is the same in a list and
	// by its id: nothing (-), no profile (id), or the profile (all).
	user := func(caller, key string) string {
		t.Helper()
		a := b.As(t, callers[caller], `query($id: ID!) { node(id: $id) { ... on ApiKey { user { id email name } } } apiKeys(first: 100) { nodes { id user { id email name } } } }`, object{"id": ids[key]})
		seen := a.At("node.user")
		for _, listed := range a.List("apiKeys.nodes") {
			if graphtest.At(listed, "id") == ids[key] && fmt.Sprint(graphtest.At(listed, "user")) != fmt.Sprint(seen) {
				t.Errorf("%s sees %v in a list, and %v by its id", caller, listed, seen)
			}
		}
		switch {
		case seen == nil:
			return "-"
		case graphtest.At(seen, "email") == nil && graphtest.At(seen, "name") == "Hidden user":
			return "id"
		case graphtest.At(seen, "email") == "ada@example.com":
			return "all"
		}
		return fmt.Sprint(seen)
	}
	want := func(when string, want map[string]string) {
		t.Helper()
		got := map[string]string{}
		for caller := range callers {
			got[caller] = user(caller, "acme") + " " + user(caller, "all")
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: saw %v\nwant %v", when, got, want)
		}
	}
	want("at first", map[string]string{"administrator": "all all", "reader": "all -", "manager": "id -", "blind": "id id"})
	b.Ask(t, `mutation { removeMembers(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}]}) { deletedIds } }`)
	want("after leaving", map[string]string{"administrator": "- all", "reader": "- -", "manager": "- -", "blind": "- id"})
	b.Ask(t, `mutation { deleteUser(input: {user: {email: "ada@example.com"}}) { deletedIds } }`)
	want("deleted", map[string]string{"administrator": "- -", "reader": "- -", "manager": "- -", "blind": "- -"})
}

// To write includes reading what is written, and nothing that needs a permission of
// its own: each mutation answers those who may just do it as it answers the
// administrator. A new mutation takes part by itself.
func TestWritersReadWhatTheyWrite(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	schema := graphtest.LoadSchema(t, "../schema.graphqls")
	c := newCaller(t, b)
	b.Ask(t, `mutation {
		updateOrganization(input: {organization: {code: "acme"}, externalId: "ERP-1", properties: {plan: "gold"}, autoJoinDomains: ["acme.example"], defaultRoles: [{key: "clerk"}]}) { organization { id } }
		updateUser(input: {user: {email: "ada@example.com"}, phone: "+442079460958", givenName: "Ada", externalId: "7", properties: {a: 1}}) { user { id } }
	}`)
	var all []string
	for _, p := range access.SystemPermissions {
		all = append(all, string(p.Key))
	}
	administratorKey := b.Holding(t, "", all...) // which answers for what it makes, as the writer's does
	for _, f := range ownFields(schema.Mutation) {
		if requirement(f) == "" { // it is about whoever asks
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			call, _, _ := strings.Cut(c.call("Mutation", f), " { __typename }")
			text := operationOf("Mutation", f) + " { " + call + c.selection(f.Type, 3, false) + " }"
			holds := append([]string{requirement(f), "roster:grants:any"}, needMore["Mutation."+f.Name]...) // what is handed out must be held
			if strings.HasPrefix(f.Type.Name(), "Membership") || strings.HasPrefix(f.Type.Name(), "Invitation") {
				holds = append(holds, "roster:organizations:read") // the organization is not written: more than its name must be readable
			}
			writer := b.As(t, b.Holding(t, "", holds...), text, nil)
			administrator := b.As(t, administratorKey, text, nil)
			if got, want := normalised(t, writer.Body), normalised(t, administrator.Body); got != want {
				t.Errorf("the writer is answered\n%s\nand the administrator\n%s", afterCommon(got, want), afterCommon(want, got))
			}
			for _, d := range ownFields(schema.Types[f.Type.Name()]) {
				for _, below := range ownFields(schema.Types[d.Type.Name()]) {
					if need := requirement(below); need != "" && !slices.Contains(holds, need) && !slices.ContainsFunc(below.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil }) {
						a := b.As(t, b.Holding(t, "", holds...), operationOf("Mutation", f)+" { "+call+" { "+d.Name+" { "+below.Name+c.selection(below.Type, 1, false)+" } } }", nil)
						if a.Codes() != "FORBIDDEN" {
							t.Errorf("%s.%s without %s: %s", d.Name, below.Name, need, a.Body)
						}
					}
				}
			}
		})
	}
}

// afterCommon returns where a text begins to differ from another one.
func afterCommon(text, other string) string {
	lines, others := strings.Split(text, "\n"), strings.Split(other, "\n")
	for i := range lines {
		if i >= len(others) || lines[i] != others[i] {
			return strings.Join(lines[max(i-3, 0):min(i+3, len(lines))], "\n")
		}
	}
	return ""
}
