package graph_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/graph/graphtest"
)

// Reasons why a mutation after an import does not keep the undo from taking people back.
const (
	ofOthers    = "it concerns others"
	ofAll       = "it changes where people are or what they hold, and not them"
	onlyBegun   = "nothing has changed until the code is shown"
	itself      = "the invitation waits for an address, whoever has it, and stays"
	ofNobody    = "nothing of them is left to take back"
	ofElsewhere = "it leaves alone what the import has done to somebody who was there"
)

// uncounted are the mutations that do not count as changes of people whom an import has made,
// and uncountedThere others that do not count of people who were there, with the reasons.
var (
	uncounted = map[string]string{
		"createUser": ofOthers, "createOrganization": ofOthers, "createPermission": ofOthers, "createRole": ofOthers, "createIdentityProvider": ofOthers, "createApplication": ofOthers,
		"updateIdentityProvider": ofOthers, "deleteIdentityProvider": ofOthers, "updateApplication": ofOthers, "rollApplicationSecret": ofOthers, "deleteApplication": ofOthers,
		"planImport": ofOthers, "cancelImport": ofOthers, "exportUsers": ofOthers, "updateSettings": ofOthers,
		"updateOrganization": ofAll, "suspendOrganization": ofAll, "restoreOrganization": ofAll, "updatePermission": ofAll, "deletePermission": ofAll,
		"updateRole": ofAll, "deleteRole": ofAll, "addRolePermissions": ofAll, "removeRolePermissions": ofAll,
		"signUp": onlyBegun, "signIn": onlyBegun, "requestPasswordReset": onlyBegun,
		"invite": itself, "resendInvitation": itself, "revokeInvitation": itself,
		"deleteUser": ofNobody,
	}
	uncountedThere = map[string]string{"addMembers": ofElsewhere, "accessToken": ofElsewhere, "requestEmailChange": ofElsewhere, "revokeApiKey": ofElsewhere, "adoptApiKey": ofElsewhere}
)

// since is a mutation that is called after an import, and the person upon whom, with an
// organization, a role and a permission of their own.
type since struct {
	*caller
	business *graphtest.Server
	field    *ast.FieldDefinition
	name     string
}

func (s *since) email() string { return strings.ToLower(s.name) + "@x.example" }

// sincePrepared are fields that call a mutation where the shortest call of it would change
// nothing; P, O and R stand for the person, the organization and the role.
var sincePrepared = map[string]string{
	"updateUser":       `updateUser(input: {user: {email: P}, familyName: "Since"}) { user { id } }`,
	"createUsers":      `createUsers(input: {onConflict: UPDATE, users: [{email: P, familyName: "Since"}]}) { users { id } }`,
	"restoreMember":    `suspendMember(input: {user: {email: P}, organization: {code: O}}) { membership { id } } restoreMember(input: {user: {email: P}, organization: {code: O}}) { membership { id } }`,
	"createApiKey":     `createApiKey(input: {name: "x", permissions: [], user: {email: P}, organization: {code: O}}) { apiKey { id } }`,
	"invite":           `invite(input: {organization: {code: "globex"}, email: P}) { invitation { id } }`,
	"addMembers":       `addMembers(input: {organization: {code: "globex"}, users: [{email: P}]}) { memberships { id } }`,
	"grantRoles":       `grantRoles(input: {organization: {code: O}, users: [{email: P}], roles: [{key: "clerk"}]}) { memberships { id } }`,
	"createRole":       `createRole(input: {key: "another"}) { role { id } }`,
	"grantPermissions": `grantPermissions(input: {organization: {code: O}, users: [{email: P}], permissions: [{key: "invoices:read"}]}) { memberships { id } }`,
}

// call calls the mutation.
func (s *since) call(t *testing.T) {
	t.Helper()
	b, p := s.business, &signedIn{Server: s.business, email: s.email()}
	ref := `{code: ` + graphtest.Quote(strings.ToLower(s.name)) + `}`
	s.others = map[string]string{
		"UserRef": `{email: ` + graphtest.Quote(s.email()) + `}`, "OrganizationRef": ref, "RoleRef": strings.Replace(ref, "code", "key", 1), "PermissionRef": strings.Replace(ref, "code", "key", 1),
		"SignUpInput.email": graphtest.Quote(s.email()), "SignInInput.email": graphtest.Quote(s.email()), "RequestPasswordResetInput.email": graphtest.Quote(s.email()), "InviteInput.email": graphtest.Quote(s.email()),
	}
	key := b.Key
	switch name := s.field.Name; name {
	case "applyImport", "undoImport", "planImport", "cancelImport":
		s.importAgain(t, name)
		return
	case "revokeApiKey", "adoptApiKey":
		maps.Copy(s.ids, map[string]string{"$KEY": b.Ask(t, `mutation($p: String!) { createApiKey(input: {name: "x", permissions: [], user: {email: $p}}) { apiKey { id } } }`, object{"p": s.email()}).Text("createApiKey.apiKey.id")})
		key = b.Holding(t, "", "roster:keys:write", "roster:users:read", "roster:members:read", "roster:organizations:read")
	case "signUp", "signIn", "requestPasswordReset":
		key = ""
	case "continueSignIn":
		key = ""
		maps.Copy(s.others, p.mailed(t, "ContinueSignInInput", "", "signIn(input: $input) { step: result { ... on SignInStep { ticket } } }", "SignInInput"))
	case "resetPassword":
		key = ""
		maps.Copy(s.others, p.mailed(t, "ResetPasswordInput", "", "requestPasswordReset(input: $input) { step { ticket } }", "RequestPasswordResetInput"))
	case "acceptInvitation":
		p.signIn(t)
		key = p.session
		_, token := invite(t, b, b.Key, object{"email": s.email(), "organization": object{"code": "globex"}})
		s.others["AcceptInvitationInput.token"] = graphtest.Quote(token)
	default:
		if requirement(s.field) == "" {
			maps.Copy(s.others, p.ready(t, name))
			key = p.session
		}
	}
	text, prepared := sincePrepared[s.field.Name]
	if !prepared {
		text = s.caller.call("Mutation", s.field)
	}
	text = strings.NewReplacer(": P", ": "+graphtest.Quote(s.email()), ": O", ": "+graphtest.Quote(strings.ToLower(s.name))).Replace(text)
	if a := b.As(t, key, "mutation { "+text+" }", nil); a.Codes() != "" {
		t.Errorf("%s: %s", text, a.Body)
	}
}

// importAgain plans another import of the person, and carries it as far as the mutation does.
func (s *since) importAgain(t *testing.T, mutation string) {
	t.Helper()
	id := s.business.Plan(t, object{"onConflict": "UPDATE"}, "again.csv", "email,last_name\n"+s.email()+",Since\n")
	if mutation == "planImport" {
		return
	}
	if mutation == "cancelImport" {
		s.business.Ask(t, `mutation($id: ID!) { cancelImport(input: {import: $id}) { import { id } } }`, object{"id": id})
		return
	}
	s.business.Carry(t, "applyImport", id, "APPLIED")
	if mutation == "undoImport" {
		s.business.Carry(t, mutation, id, "UNDONE")
	}
}

// Whatever others do to somebody after an import, or they do themselves, is there after the
// import is undone, and the row says so. Every mutation of the schema is tried upon people whom
// the import has made, and upon people who were there; those that rightly do not count are
// listed with their reasons.
func TestUndoAfterEveryMutation(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	c := newCaller(t, b)
	forgetAttempts(t, b)
	b.WorkOnImports(t)
	var all []*since
	for _, f := range ownFields(c.schema.Mutation) {
		all = append(all, &since{caller: c, business: b, field: f, name: "m-" + f.Name})
		if _, is := uncounted[f.Name]; !is {
			all = append(all, &since{caller: c, business: b, field: f, name: "x-" + f.Name})
		}
	}
	file := "email,first_name,suspended,role_keys,permission_keys,external_organization_id\n"
	var line []*since
	for part := range slices.Chunk(all, 15) {
		var document strings.Builder
		for i, s := range part {
			name := graphtest.Quote(strings.ToLower(s.name))
			fmt.Fprintf(&document, `o%[1]d: createOrganization(input: {code: %[2]s, name: %[2]s}) { organization { id } } r%[1]d: createRole(input: {key: %[2]s}) { role { id } } p%[1]d: createPermission(input: {key: %[2]s}) { permission { id } }`+"\n", i, name)
			if strings.HasPrefix(s.name, "x-") {
				fmt.Fprintf(&document, `u%d: createUser(input: {email: %q, givenName: "Before"}) { user { id } }`+"\n", i, s.email())
			}
			suspended := ""
			if s.field.Name == "restoreUser" {
				suspended = "TRUE"
			}
			file += fmt.Sprintf("%s,Imported,%s,%s,%[3]s,%[3]s\n", s.email(), suspended, strings.ToLower(s.name))
			line = append(line, s)
			if strings.HasPrefix(s.name, "m-") { // so that they can leave the other one
				file += s.email() + ",,,,,\n"
				line = append(line, nil)
			}
		}
		b.Ask(t, "mutation { "+document.String()+" }")
	}
	id := b.Plan(t, object{"onConflict": "UPDATE"}, "people.csv", strings.ReplaceAll(file, ",,,,,\n", ",,,,,default\n"))
	b.Carry(t, "applyImport", id, "APPLIED")
	for _, s := range all {
		s.call(t)
	}
	b.Carry(t, "undoImport", id, "UNDONE")
	left := map[string]bool{}
	for _, number := range graphtest.Rows[int](t, b, "select number from import_rows where import_id = $1 and warnings @> '[{\"code\": \"CHANGED_SINCE\"}]'", importID(t, id)) {
		if s := line[number-1]; s != nil {
			left[s.name] = true
		}
	}
	there := map[string]bool{}
	for _, email := range graphtest.Rows[string](t, b, "select email from users where email like '%@x.example'") {
		there[email] = true
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			reason, isUncounted := uncounted[s.field.Name]
			if strings.HasPrefix(s.name, "x-") {
				reason, isUncounted = uncountedThere[s.field.Name]
			}
			if left[s.name] == isUncounted {
				t.Errorf("left: %t, and it counts: %t %s", left[s.name], !isUncounted, reason)
			}
			if made := strings.HasPrefix(s.name, "m-"); made && there[s.email()] == isUncounted {
				t.Errorf("still there: %t", there[s.email()])
			}
		})
	}
	if waiting := graphtest.Rows[int](t, b, "select count(*) from invitations where email = 'm-invite@x.example' and live")[0]; waiting != 1 {
		t.Errorf("%d invitations wait for somebody who was taken back, want 1", waiting)
	}
}
