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

// The fields of Query and Mutation that need no permission of their own: what
// they answer to nobody, and to one who holds nothing. They let everybody who is signed in.
var openFields = map[string]struct{ nobody, holdingNothing string }{
	"Query.viewer":            {"", ""},
	"Query.errorCodes":        {"", ""},
	"Query.identityProviders": {"", ""},
	"Query.node":              {"UNAUTHENTICATED", ""},
	"Query.nodes":             {"UNAUTHENTICATED", ""},

	"Mutation.signUp":               {"", ""},
	"Mutation.signIn":               {"", ""},
	"Mutation.continueSignIn":       {"", ""},
	"Mutation.requestPasswordReset": {"", ""},
	"Mutation.resetPassword":        {"", ""},
	"Mutation.acceptInvitation":     {"", ""},
	"Mutation.switchOrganization":   ofPersons,
	"Mutation.signOut":              ofPersons,
	"Mutation.endSession":           ofPersons,
	"Mutation.accessToken":          ofPersons,
	"Mutation.changePassword":       ofPersons,
	"Mutation.updateViewer":         ofPersons,
	"Mutation.requestEmailChange":   ofPersons,
	"Mutation.confirmEmailChange":   ofPersons,
	"Mutation.leaveOrganization":    ofPersons,
	"Mutation.unlinkIdentity":       ofPersons,
}

// ofPersons is what is about those who are signed in.
var ofPersons = struct{ nobody, holdingNothing string }{"UNAUTHENTICATED", "FORBIDDEN"}

// needMore are the fields for which what @requires says is not enough, with all that they
// need.
var needMore = map[string][]string{
	"Mutation.planImport":   {"roster:imports:write", "roster:users:write"},
	"Mutation.applyImport":  {"roster:imports:write", "roster:users:write"},
	"Mutation.cancelImport": {"roster:imports:write", "roster:users:write"},
	"Mutation.undoImport":   {"roster:imports:write", "roster:users:write"},
	"Mutation.exportUsers":  {"roster:users:read", "roster:members:read", "roster:organizations:read", "roster:roles:read"},
}

// samples are values for the minimal calls below: of a type, or of an input
// field or argument where its type says too little. Values name what graphtest.SmallBusiness
// makes.
var samples = map[string]string{
	"UserRef":                  `{email: "ada@example.com"}`,
	"OrganizationRef":          `{code: "acme"}`,
	"MoveMemberInput.to":       `{code: "globex"}`,
	"RoleRef":                  `{key: "clerk"}`,
	"PermissionRef":            `{key: "invoices:read"}`,
	"permission":               `"invoices:read"`,
	"permissions":              `["invoices:read"]`,
	"id":                       `"user_01h455vb4pex5vsknk084sn02q"`,
	"ids":                      `["user_01h455vb4pex5vsknk084sn02q"]`,
	"name":                     `"New"`,
	"key":                      `"new:key"`,
	"CreateUserInput.email":    `"new@example.com"`,
	"ApiKeyActionInput.apiKey": `$KEY`,
	"PlanImportInput.file":     `$file`,
	"ImportActionInput.import": `$IMPORT`,
	"signerKey":                `"AAAA"`,
	"saltSeparator":            `"Bw=="`,
	"rounds":                   `8`,
	"memoryCost":               `14`,
	"provider":                 `$PROVIDER`,
	"application":              `$APP`,
	"ApplicationKind":          "MACHINE",

	"CreateIdentityProviderInput.key":          `"new"`,
	"CreateIdentityProviderInput.kind":         "GOOGLE",
	"CreateIdentityProviderInput.issuer":       `"https://accounts.google.com"`,
	"CreateIdentityProviderInput.clientId":     `"roster"`,
	"CreateIdentityProviderInput.clientSecret": `"of the provider"`,

	"InviteInput.email":                `"invited@example.com"`,
	"InvitationActionInput.invitation": `$INVITATION`,
	"AcceptInvitationInput.token":      `"ri_` + strings.Repeat("A", 64) + `"`,

	"SignUpInput.email":               `"signup@example.com"`,
	"SignInInput.email":               `"ada@example.com"`,
	"RequestPasswordResetInput.email": `"ada@example.com"`,
	"RequestEmailChangeInput.email":   `"ada@example.com"`,
	"ticket":                          `"rt_` + strings.Repeat("A", 64) + `"`,
	"ContinueSignInInput.code":        `"00000000"`,
	"ResetPasswordInput.code":         `"00000000"`,
	"ConfirmEmailChangeInput.code":    `"00000000"`,
	"password":                        `"` + graphtest.Password + `"`,
	"currentPassword":                 `"` + graphtest.Password + `"`,
	"newPassword":                     `"another horse battery staple"`,
	"session":                         `"session_01h455vb4pex5vsknk084sn02q"`,
	"identity":                        `"identity_01h455vb4pex5vsknk084sn02q"`,
	"audience":                        `"` + graphtest.Issuer + `"`,
	"UpdateViewerInput.givenName":     `"New"`,
}

// needed are fields of inputs without which a call would not be valid, although
// they may be null.
var needed = []string{"CreateUserInput.email", "SignInInput.email", "ContinueSignInInput.code", "UpdateViewerInput.givenName", "CreateIdentityProviderInput.issuer"}

// caller makes minimal calls of the fields of a schema.
type caller struct {
	schema *ast.Schema
	// ids name what has no other name, by what stands for them in samples.
	ids map[string]string
	// missing are the inputs that have no sample.
	missing []string
	// others are samples which count before those of all callers.
	others map[string]string
	// place is the argument, or "argument.field", which gets instead rather than
	// a sample.
	place, instead string
	// also are arguments, with their values, which calls have although they can do
	// without them.
	also map[string]string
}

// newCaller returns a caller of a business with graphtest.SmallBusiness.
func newCaller(t *testing.T, b *graphtest.Server) *caller {
	t.Helper()
	made := b.Ask(t, graphtest.SmallBusiness)
	invitation, _ := invite(t, b, b.Key, object{"email": "waiting@example.com", "organization": object{"code": "acme"}, "sendEmail": false})
	ids := map[string]string{"$KEY": made.Text("k.apiKey.id"), "$PROVIDER": made.Text("i.provider.id"), "$INVITATION": invitation, "$APP": made.Text("m.application.id"), "$IMPORT": b.StoreImport(t, "people.csv")}
	return &caller{schema: graphtest.LoadSchema(t, "../schema.graphqls"), ids: ids}
}

// value returns a value for an argument or input field: of owner, called name.
func (c *caller) value(owner, name string, of *ast.Type) string {
	for _, known := range []string{owner + "." + name, of.Name()} {
		if sample, ok := c.others[known]; ok {
			return c.wrap(of, sample)
		}
		if sample, ok := samples[known]; ok {
			return c.wrap(of, sample)
		}
	}
	if definition := c.schema.Types[of.Name()]; definition.Kind == ast.InputObject {
		return c.wrap(of, c.input(definition))
	}
	if sample, ok := samples[name]; ok {
		return sample
	}
	if definition := c.schema.Types[of.Name()]; definition.Kind == ast.Enum {
		return c.wrap(of, definition.EnumValues[0].Name)
	}
	c.missing = append(c.missing, owner+"."+name)
	return "null"
}

// wrap makes a list of a value where the type is one.
func (c *caller) wrap(of *ast.Type, value string) string {
	for placeholder, id := range c.ids {
		value = strings.ReplaceAll(value, placeholder, graphtest.Quote(id))
	}
	if of.Elem != nil {
		return "[" + value + "]"
	}
	return value
}

func (c *caller) input(definition *ast.Definition) string {
	var fields []string
	for _, f := range definition.Fields {
		required := f.Type.NonNull && f.DefaultValue == nil
		if required || slices.Contains(needed, definition.Name+"."+f.Name) {
			fields = append(fields, f.Name+": "+c.value(definition.Name, f.Name, f.Type))
		}
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// inputWith is input with something instead in the place of one field.
func (c *caller) inputWith(definition *ast.Definition, name string) string {
	fields := []string{name + ": " + c.instead}
	for _, f := range definition.Fields {
		required := f.Type.NonNull && f.DefaultValue == nil && definition.Directives.ForName("oneOf") == nil
		if f.Name != name && (required || slices.Contains(needed, definition.Name+"."+f.Name)) {
			fields = append(fields, f.Name+": "+c.value(definition.Name, f.Name, f.Type))
		}
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// call returns the field with the arguments that it cannot do without.
func (c *caller) call(owner string, f *ast.FieldDefinition) string {
	var arguments []string
	for _, a := range f.Arguments {
		at, field, inside := strings.Cut(c.place, ".")
		switch {
		case at == a.Name && !inside:
			arguments = append(arguments, a.Name+": "+c.instead)
		case at == a.Name:
			arguments = append(arguments, a.Name+": "+c.wrap(a.Type, c.inputWith(c.schema.Types[a.Type.Name()], field)))
		case c.also[a.Name] != "":
			arguments = append(arguments, a.Name+": "+c.also[a.Name])
		case a.Type.NonNull && a.DefaultValue == nil:
			arguments = append(arguments, a.Name+": "+c.value(owner+"."+f.Name, a.Name, a.Type))
		}
	}
	text := f.Name
	if len(arguments) > 0 {
		text += "(" + strings.Join(arguments, ", ") + ")"
	}
	if c.schema.Types[f.Type.Name()].IsCompositeType() {
		text += " { __typename }"
	}
	return text
}

// selection asks for all that needs no argument, to that depth; for what needs a
// permission only if guarded.
func (c *caller) selection(of *ast.Type, depth int, guarded bool) string {
	d := c.schema.Types[of.Name()]
	if !d.IsCompositeType() {
		return ""
	}
	text := " { __typename"
	for _, f := range d.Fields {
		composite := c.schema.Types[f.Type.Name()].IsCompositeType()
		needs := slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil })
		if strings.HasPrefix(f.Name, "__") || needs || requirement(f) != "" && !guarded || composite && depth == 0 {
			continue
		}
		text += " " + f.Name + c.selection(f.Type, depth-1, guarded)
	}
	if of.Name() == "Node" || of.Name() == "Actor" {
		text += " ... on User { email name } ... on ApiKey { user { email } }"
	}
	return text + " }"
}

// keyring makes API keys with one permission each, and with all but one.
type keyring struct {
	only, allBut map[string]string
	// enough are keys for the fields of needMore.
	enough map[string]string
}

func newKeyring(t *testing.T, b *graphtest.Server) keyring {
	k := keyring{map[string]string{}, map[string]string{}, map[string]string{}}
	for field, all := range needMore {
		k.enough[field] = b.Holding(t, "", all...)
	}
	for _, p := range access.SystemPermissions {
		var others []string
		for _, other := range access.SystemPermissions {
			if other.Key != p.Key {
				others = append(others, string(other.Key))
			}
		}
		k.only[string(p.Key)] = b.Holding(t, "", string(p.Key))
		k.allBut[string(p.Key)] = b.Holding(t, "", others...)
	}
	return k
}

// Every field of Query and Mutation is denied to nobody, and to whoever lacks
// just the permission that the schema says it requires; and that permission is
// enough. A new field takes part by itself, and needs a line in samples when its
// arguments cannot be made up.
func TestDenied(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	schema := graphtest.LoadSchema(t, "../schema.graphqls")
	c := newCaller(t, b)
	keys := newKeyring(t, b)
	nothing := b.Holding(t, "")
	elsewhere := b.Holding(t, "globex", slices.Collect(maps.Keys(keys.only))...)
	p := newSignedIn(t, b, "ada@example.com")
	before := b.State(t)
	var lasting []func() // calls that leave something
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation} {
		for _, f := range ownFields(root) {
			name := root.Name + "." + f.Name
			operation := operationOf(root.Name, f)
			text := operation + " { " + c.call(root.Name, f) + " }"
			ask := func(who, key, text string, is func(codes string) bool, wanted string) {
				if a := b.As(t, key, text, nil); !is(a.Codes()) || a.Status != 200 && !strings.Contains(text, "$file") { // a file is refused before anything is executed
					t.Errorf("%s to %s: %s\nwant %s", name, who, a.Body, wanted)
				}
			}
			ready := func(who string, key func() string, is func(codes string) bool, wanted string) {
				lasting = append(lasting, func() {
					c.others = p.ready(t, f.Name)
					ask(who, key(), operation+" { "+c.call(root.Name, f)+" }", is, wanted)
					c.others = nil
				})
			}
			want := func(who, key string, is func(codes string) bool, wanted string) {
				if operation == "mutation" && is("") {
					ready(who, func() string { return key }, is, wanted)
					return
				}
				ask(who, key, text, is, wanted)
			}
			exactly := func(code string) func(string) bool { return func(codes string) bool { return codes == code } }
			need := requirement(f)
			if need == "" {
				open, known := openFields[name]
				if !known {
					t.Errorf("%s requires nothing, and is not among openFields", name)
				}
				want("nobody", "", exactly(open.nobody), open.nobody)
				want("who holds nothing", nothing, exactly(open.holdingNothing), open.holdingNothing)
				ready("a person", func() string { return p.session }, exactly(""), "no error")
				continue
			}
			want("nobody", "", exactly("UNAUTHENTICATED"), "UNAUTHENTICATED")
			want("who lacks "+need, keys.allBut[need], exactly("FORBIDDEN"), "FORBIDDEN")
			enough := keys.only[need]
			for _, more := range needMore[name] {
				want("who lacks "+more, keys.allBut[more], exactly("FORBIDDEN"), "FORBIDDEN")
				enough = keys.enough[name]
			}
			want("who holds "+need, enough, func(codes string) bool {
				return codes == "" || codes == "ESCALATION" // to hand something out needs more
			}, "no FORBIDDEN")
			want("administrator", b.Key, exactly(""), "no error")
			if root == schema.Mutation {
				want("who holds all elsewhere", elsewhere, func(codes string) bool {
					return codes == "FORBIDDEN" || codes == "NOT_FOUND"
				}, "FORBIDDEN or NOT_FOUND")
			}
		}
	}
	for _, missing := range c.missing {
		t.Errorf("%s has no sample: add one to samples", missing)
	}
	b.Unchanged(t, before)
	for _, call := range lasting {
		call()
	}
}

// nested has, for each field below the root which requires a permission, a
// document that reaches it without that permission for its other fields, and the
// permissions which are needed on the way.
var nested = map[string]struct{ document, way string }{
	"User.identities": {`query { organization(by: {code: "acme"}) { members { nodes { user { identities { subject } } } } } }`,
		"roster:organizations:read roster:members:read"},
	"IdentityProvider.clientId":     {`query { identityProviders(email: "any@globex.example") { clientId } }`, ""},
	"IdentityProvider.organization": {`query { identityProviders(email: "any@globex.example") { organization { id } } }`, ""},
	"IdentityProvider.domains":      {`query { identityProviders(email: "any@globex.example") { domains } }`, ""},
	"User.sessions": {`query { organization(by: {code: "acme"}) { members { nodes { user { sessions { totalCount } } } } } }`,
		"roster:organizations:read roster:members:read"},
	"User.signIns": {`query { organization(by: {code: "acme"}) { members { nodes { user { signIns { totalCount } } } } } }`,
		"roster:organizations:read roster:members:read"},
	"User.memberships": {`query { user(by: {email: "ada@example.com"}) { memberships { totalCount } } }`, "roster:users:read"},
	"User.membership":  {`query { user(by: {email: "ada@example.com"}) { membership(organization: {code: "acme"}) { id } } }`, "roster:users:read"},
	"User.can": {`query { user(by: {email: "ada@example.com"}) { can(organization: {code: "acme"}, permission: "invoices:read") } }`,
		"roster:users:read"},
	"Organization.members":     {`query { organization(by: {code: "acme"}) { members { nodes { id } } } }`, "roster:organizations:read"},
	"Organization.member":      {`query { organization(by: {code: "acme"}) { member(user: {email: "ada@example.com"}) { id } } }`, "roster:organizations:read"},
	"Organization.invitations": {`query { organization(by: {code: "acme"}) { invitations { totalCount } } }`, "roster:organizations:read"},
	"Role.members":             {`query { role(by: {key: "clerk"}) { members { nodes { id } } } }`, "roster:roles:read"},
	"Role.permissions": {`query { organization(by: {code: "acme"}) { members { nodes { roles { permissions { key } } } } } }`,
		"roster:organizations:read roster:members:read"},
	"Explanation.rolesThatWouldAllow": {`query { explain(user: {email: "ada@example.com"}, organization: {code: "acme"}, permission: "invoices:read") { rolesThatWouldAllow { key } } }`,
		"roster:members:read"},
	"Permission.holders": {`query { permission(by: {key: "invoices:read"}) { holders { nodes { id } } } }`, "roster:roles:read"},
	"Permission.roles": {`query { organization(by: {code: "acme"}) { members { nodes { effectivePermissions { permission { roles { key } } } } } } }`,
		"roster:organizations:read roster:members:read"},
	"Grant.membership":           {grantAda + `{ grants { membership { id } } } } }`, "roster:members:write"},
	"RoleGrant.membership":       {grantAda + `{ grants { ... on RoleGrant { membership { id } } } } } }`, "roster:members:write"},
	"PermissionGrant.membership": {grantAda + `{ grants { ... on PermissionGrant { membership { id } } } } } }`, "roster:members:write roster:grants:any"},
	"Impact.gained":              {grantAdaImpact + `{ gained { totalCount } } } }`, "roster:members:write"},
	"Impact.lost":                {grantAdaImpact + `{ lost { totalCount } } } }`, "roster:members:write"},
	"ApiKey.permissions": {`query { changes(filter: {action: "user.created"}) { nodes { actor { ... on ApiKey { permissions { key } } } } } }`,
		"roster:changes:read"},
}

const grantAda = `mutation @dryRun { grantPermissions(input: {organization: {code: "acme"}, users: [{email: "ada@example.com"}], ` +
	`permissions: [{key: "invoices:read"}]}) { memberships `

var grantAdaImpact = strings.TrimSuffix(grantAda, "memberships ") + "impact "

// The permissions that fields below the root require are required too.
func TestDeniedBelowTheRoot(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	schema := graphtest.LoadSchema(t, "../schema.graphqls")
	b.Ask(t, graphtest.SmallBusiness)
	b.Execute(t, "insert into identities (provider, subject, user_id) select 'password', 'ada', id from users")
	seen := 0
	for _, d := range ownTypes(schema) {
		for _, f := range ownFields(d) {
			name, need := d.Name+"."+f.Name, requirement(f)
			if need == "" || d == schema.Query || d == schema.Mutation {
				continue
			}
			seen++
			test, known := nested[name]
			if !known {
				t.Errorf("%s requires %s: add it to nested", name, need)
				continue
			}
			way := strings.Fields(test.way)
			if strings.Contains(test.document, "grantPermissions") {
				way = append(way, "roster:grants:any")
			}
			if a := b.As(t, b.Holding(t, "", way...), test.document, nil); a.Codes() != "FORBIDDEN" {
				t.Errorf("%s without %s: %s", name, need, a.Body)
			}
			a := b.As(t, b.Holding(t, "", append(way, need)...), test.document, nil)
			if a.Codes() != "" || !strings.Contains(fmt.Sprint(a.Data), f.Name+":") {
				t.Errorf("%s with %s: %s", name, need, a.Body)
			}
		}
	}
	if seen != len(nested) {
		t.Errorf("nested has %d lines for %d fields", len(nested), seen)
	}
}

// A key that may read nothing of its organization knows what it is called, and no
// more.
func TestOrganizationOfAKeyThatReadsNothing(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	b.Ask(t, `mutation { updateOrganization(input: {organization: {code: "acme"}, externalId: "ERP-1", properties: {plan: "gold"}, autoJoinDomains: ["acme.example"], allowSelfSignUp: true, defaultRoles: [{key: "clerk"}]}) { organization { id } } }`)
	const query = `{ viewer { organization { name externalId properties autoJoinDomains allowSelfSignUp defaultRoles { key } } } }`
	for need, want := range map[string]string{
		"roster:users:read":         `{"name":"Acme","externalId":null,"properties":{},"autoJoinDomains":[],"allowSelfSignUp":false,"defaultRoles":[]}`,
		"roster:organizations:read": `{"name":"Acme","externalId":"ERP-1","properties":{"plan": "gold"},"autoJoinDomains":["acme.example"],"allowSelfSignUp":true,"defaultRoles":[{"key":"clerk"}]}`,
	} {
		if a := b.As(t, b.Holding(t, "acme", need), query, nil); !strings.Contains(string(a.Body), want) {
			t.Errorf("with %s: %s", need, a.Body)
		}
	}
}

// Whoever asks may know the schema and themselves.
func TestOpenToEveryone(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	a := b.As(t, "", `{ __typename viewer { permissions } __schema { queryType { name } } __type(name: "User") { name } }`, nil)
	if a.Codes() != "" || a.At("viewer") != nil || a.Text("__type.name") != "User" {
		t.Errorf("%s", a.Body)
	}
	for _, key := range []string{"rk_" + strings.Repeat("x", 43), "x", "rk_"} {
		if a := b.As(t, key, `{ __typename }`, nil); a.Codes() != "UNAUTHENTICATED" || a.Status != 401 || a.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d %s", key, a.Status, a.Body)
		}
	}
}
