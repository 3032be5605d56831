package graph_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/graph/graphtest"
)

// Whatever an input creates or changes is kept: each plain field of an input that the
// object has too is returned as it was sent, by the mutation and when it is read later.
// A new field takes part by itself, and needs a line in keptSamples if it is not a Boolean.
func TestInputsAreKept(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	seed := b.Ask(t, graphtest.SmallBusiness)
	web := b.Ask(t, `mutation { createApplication(input: {name: "web", kind: WEB}) { application { id } } }`).Text("createApplication.application.id")
	ids := map[string]string{"$KEY": seed.Text("k.apiKey.id"), "$PROVIDER": seed.Text("i.provider.id"), "$APP": web}
	k := &kept{Server: b, caller: &caller{schema: graphtest.LoadSchema(t, "../schema.graphqls"), ids: ids, others: map[string]string{"ApplicationKind": "WEB", "IdentityProviderKind": "OIDC", "CreateIdentityProviderInput.kind": "OIDC"}}}
	for kind, path := range map[string]string{"UserRef": "u.user", "OrganizationRef": "a.organization", "RoleRef": "r.role", "PermissionRef": "p.permission"} {
		k.others[kind] = fmt.Sprintf("{id: %q}", seed.Text(path+".id")) // which no update changes
	}
	session := b.SignedIn(t, "ada@example.com", "acme")
	for _, f := range ownFields(k.schema.Mutation) {
		k.key = b.Key
		if requirement(f) == "" {
			k.key = session
		}
		if !strings.HasPrefix(f.Name, "create") && !strings.HasPrefix(f.Name, "update") {
			continue
		}
		input, result := k.schema.Types[f.Arguments[0].Type.Name()], k.schema.Types[f.Type.Name()].Fields[0]
		for _, field := range input.Fields {
			if of := k.schema.Types[result.Type.Name()].Fields.ForName(field.Name); of != nil && k.schema.Types[of.Type.Name()].IsLeafType() {
				t.Run(input.Name+"."+field.Name, func(t *testing.T) { k.check(t, f, result, input.Name, field) })
			}
		}
	}
}

// kept calls mutations, each with other values than before.
type kept struct {
	*graphtest.Server
	*caller
	// key is the credential of who calls.
	key   string
	calls int
}

// keptSamples are values by name of a field, other than what fields have by default;
// N stands for a number that is new each time.
var keptSamples = map[string]string{
	"email": `"keptN@example.com"`, "username": `"keptN"`, "phone": `"+44207946N"`, "givenName": `"Kept N"`, "familyName": `"Kept N"`, "name": `"Kept N"`,
	"pictureUrl": `"https://example.com/N"`, "externalId": `"kept-N"`, "properties": `{kept: N}`, "code": `"keptN"`, "autoJoinDomains": `["keptN.example"]`,
	"key": `"keptN"`, "displayName": `"Kept N"`, "issuer": `"https://N.example.com"`, "clientId": `"kept-N"`, "domains": `["keptN.example"]`,
	"description": `"Kept N"`, "expiresAt": `"2090-01-01T00:00:00.000NZ"`,
	"redirectUrls": `["https://keptN.example/callback"]`, "logoutUrls": `["https://keptN.example/"]`, "audiences": `["https://api.keptN.example"]`,
	"minimumPasswordLength": "20", "sessionIdleSeconds": "86400", "sessionMaximumSeconds": "8640000",
}

func (k *kept) check(t *testing.T, f, result *ast.FieldDefinition, owner string, field *ast.FieldDefinition) {
	k.calls++
	for name, sample := range keptSamples {
		k.others[owner+"."+name] = strings.ReplaceAll(sample, "N", fmt.Sprint(100+k.calls))
	}
	read := result.Name + " { id " + field.Name + " }"
	if result.Type.Name() == "Settings" {
		read = result.Name + " { " + field.Name + " }"
	}
	k.place, k.instead = "input."+field.Name, k.others[owner+"."+field.Name]
	if field.Type.Name() == "Boolean" {
		k.instead = "true"
	}
	isEnum := k.schema.Types[field.Type.Name()].Kind == ast.Enum
	if isEnum {
		k.instead = k.others[field.Type.Name()]
	}
	if k.instead == "" {
		t.Fatal("it has no sample: add one to keptSamples")
	}
	sent := "mutation { " + strings.Replace(k.call("Mutation", f), "{ __typename }", "{ "+read+" }", 1) + " }"
	path := result.Name + "." + field.Name
	var want any = k.instead
	if !isEnum {
		want = graphtest.ParseJSON(t, strings.ReplaceAll(k.instead, "{kept:", `{"kept":`))
	}
	made := k.As(t, k.key, sent, nil)
	if made.Codes() != "" {
		t.Fatalf("%s\nanswers %s", sent, made.Body)
	}
	if got := made.At(f.Name + "." + path); !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nanswers %v, want %v", sent, got, want)
	}
	later := "{ " + read + " }"
	if id := made.Text(f.Name + "." + result.Name + ".id"); id != "" {
		later = fmt.Sprintf("{ %s: node(id: %q) { ... on %s { %s } } }", result.Name, id, result.Type.Name(), field.Name)
	}
	if got := k.Ask(t, later).At(path); !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nis read as %v, want %v", sent, got, want)
	}
}
