package directory_test

import (
	"context"
	"testing"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/secret"
)

// The keys of a member who is suspended in one organization stop there, and what descends
// from them; other organizations and the business are untouched. In the root it is the
// reverse.
func TestKeysOfSuspendedMembers(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	acme, globex := b.organization("acme"), b.organization("globex")
	b.user("ada", acme, globex)
	users := []*directory.UserRef{&ada}
	must(b.AddMembers(b.ctx, directory.AddMembersInput{Organization: root, Users: users}))(t)
	for org, permission := range map[string]string{"acme": "roster:keys:write", "globex": "roster:users:read", "roster": "roster:settings:read"} {
		must(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{Organization: orgCode(org), Users: users, Permissions: permissionRefs(permission)}))(t)
	}
	everything := []string{"roster:keys:write", "roster:settings:read", "roster:users:read"}
	keys := map[string]secret.Text{}
	_, keys["acme"] = b.keyOf(ada, "acme", everything...)
	_, keys["globex"] = b.keyOf(ada, "globex", everything...)
	_, keys["business"] = b.keyOf(ada, "", everything...)
	_, keys["child"] = b.descends(keys["acme"], "child", "acme", nil, "roster:keys:write")
	_, keys["acme's own"] = b.key("acme", "roster:users:read")

	const child, own = "[roster:keys:write]", "[roster:users:read]"
	inAcme, inRoot := directory.MemberActionInput{User: ada, Organization: orgCode("acme")}, directory.MemberActionInput{User: ada, Organization: root}
	active := map[string]string{
		"acme": "[roster:keys:write roster:settings:read]", "child": child, "acme's own": own,
		"globex": "[roster:settings:read roster:users:read]", "business": "[roster:settings:read]",
	}
	for _, step := range []struct {
		name string
		do   func(context.Context, directory.MemberActionInput) (*db.Membership, error)
		in   directory.MemberActionInput
		want map[string]string // in place of those of active
	}{
		{"suspended in one organization", b.SuspendMember, inAcme, map[string]string{"acme": "", "child": ""}},
		{"and for the business", b.SuspendMember, inRoot, map[string]string{"acme": "", "child": "", "globex": "[roster:users:read]", "business": ""}},
		{"restored in the organization", b.RestoreMember, inAcme, map[string]string{"acme": "[roster:keys:write]", "globex": "[roster:users:read]", "business": ""}},
		{"restored for the business", b.RestoreMember, inRoot, nil},
	} {
		t.Run(step.name, func(t *testing.T) {
			must(step.do(b.ctx, step.in))(t)
			for name, shown := range keys {
				want, differs := step.want[name]
				if !differs {
					want = active[name]
				}
				got := ""
				if actor, err := b.Authenticate(t.Context(), shown, ""); err == nil {
					got = permissionsOf(actor)
				} else {
					wantFaults(t, err, "UNAUTHENTICATED ")
				}
				if got != want {
					t.Errorf("%s holds %q, want %q", name, got, want)
				}
			}
		})
	}
}

// To restore a member is to hand out what they were granted, and what their keys can do;
// to suspend one is not. What others of the organization hold does not matter.
func TestRestoringAMemberHandsOut(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	acme, globex := b.organization("acme"), b.organization("globex")
	b.user("ada", acme, globex)
	b.user("bob", acme)
	b.definePermissions("invoices:read", "invoices:write", "invoices:delete")
	b.role("reader", permissionRefs("invoices:read")...)
	b.role("writer", permissionRefs("invoices:write")...)
	b.role("owner", permissionRefs("invoices:delete")...)
	must(0, b.grantRole("ada", "acme", "reader"))(t)
	must(0, b.grantRole("ada", "globex", "owner"))(t)
	must(0, b.grantRole("bob", "acme", "owner"))(t)
	in := directory.MemberActionInput{User: ada, Organization: orgCode("acme")}
	manager := b.holding("acme", string(access.MembersWrite), "invoices:read")
	both := func(want string) {
		t.Helper()
		must(b.SuspendMember(manager, in))(t)
		_, err := b.RestoreMember(manager, in)
		wantFaults(t, err, want)
		must(b.RestoreMember(b.ctx, in))(t)
	}
	both("")
	must(0, b.grantRole("ada", "acme", "writer"))(t)
	both("ESCALATION ")
	must(b.RevokeRoles(b.ctx, directory.RevokeRolesInput{Organization: orgCode("acme"), Users: []*directory.UserRef{&ada}, Roles: roleRefs("writer")}))(t)
	both("")
	_, err := b.RestoreMember(manager, in)
	wantFaults(t, err, "") // who is not suspended is not handed anything
}
