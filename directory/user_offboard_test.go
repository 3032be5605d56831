package directory_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// leaver is a user with all that can be had: in organizations and for the business, by
// credentials, and under way.
type leaver struct {
	*business
	user *db.User
	// keys stand for the user, or are answered for by them, or descend from one of those.
	keys []*db.APIKey
}

func newLeaver(b *business, name string, orgs ...*db.Organization) *leaver {
	b.t.Helper()
	l := &leaver{business: b, user: b.user(name, orgs...)}
	ref := directory.UserRef{Username: &name}
	must(b.AddMembers(b.ctx, directory.AddMembersInput{Organization: root, Users: []*directory.UserRef{&ref}, Roles: roleRefs("auditor")}))(b.t)
	code := orgs[0].Code
	must(0, b.grantRole(name, code, "worker"))(b.t)
	must(b.GrantRoles(b.ctx, directory.GrantRolesInput{Organization: orgCode(code), Users: []*directory.UserRef{&ref}, Roles: roleRefs("worker"), StartsAt: new(time.Now().Add(24 * time.Hour))}))(b.t)
	must(b.GrantPermissions(b.ctx, directory.GrantPermissionsInput{Organization: orgCode(code), Users: []*directory.UserRef{&ref}, Permissions: permissionRefs("thing:do", "thing:see")}))(b.t)
	here, _ := b.keyOf(ref, code, "thing:do")
	everywhere, _ := b.keyOf(ref, "")
	answered, shown := b.key("", string(access.KeysWrite))
	must(b.db.NewRaw("update api_keys set responsible_id = null, responsible_user_id = ? where id = ?", l.user.ID, answered.ID).Exec(b.t.Context()))(b.t)
	child, _ := b.descends(shown, "child", "", nil)
	l.keys = []*db.APIKey{here, everywhere, answered, child}
	b.session(l.user, orgs[0])
	must(b.db.NewRaw("insert into flows (id, hash, purpose, next, user_id, account, created_at, expires_at) values (gen_random_uuid(), '', 'SIGN_IN', 'PASSWORD', ?, 'x', now(), now() + interval '1 hour')", l.user.ID).Exec(b.t.Context()))(b.t)
	must(b.db.NewRaw(`insert into invitations (id, org_id, email, email_key, role_ids, default_roles, hash, invited_by, created_at, expires_at)
		values (gen_random_uuid(), ?0, ?1, ?1, '{}', true, '', ?2, now(), now() + interval '1 day')`, orgs[0].ID, name+"-guest@example.com", l.user.ID.String()).Exec(b.t.Context()))(b.t)
	return l
}

// left returns what the user has left, by name.
func (l *leaver) left() map[string]int {
	l.t.Helper()
	return map[string]int{
		"memberships":   l.count("memberships where user_id = $1", l.user.ID),
		"roles":         l.count("membership_roles where user_id = $1 and live", l.user.ID),
		"permissions":   l.count("membership_permissions where user_id = $1 and live", l.user.ID),
		"keys":          l.count("api_keys where id = any($1) and revoked_at is null", []db.APIKeyID{l.keys[0].ID, l.keys[1].ID, l.keys[2].ID, l.keys[3].ID}),
		"sessions":      l.count("sessions where user_id = $1", l.user.ID),
		"flows":         l.count("flows where user_id = $1", l.user.ID),
		"invitations":   l.count("invitations where invited_by = $1 and live", l.user.ID.String()),
		"active":        l.count("users where id = $1 and status = 'ACTIVE'", l.user.ID),
		"at home":       l.count("memberships m join organizations o on o.id = m.org_id and o.is_default where m.user_id = $1", l.user.ID),
		"ends of a key": l.count("changes where action = 'apiKey.revoked' and subject = $1", l.keys[0].ID.String()),
		"reasons":       l.count("changes where after->>'reason' = 'why' and (subject = $1 or before->>'userId' = $1)", l.user.ID.String()),
	}
}

func (l *leaver) want(t *testing.T, what string, want map[string]int) {
	t.Helper()
	got := l.left()
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d %s, want %d", what, got[name], name, n)
		}
	}
}

// Nothing is left to somebody who is offboarded but a place in the default organization, in
// one step; and nothing comes back when they are restored.
func TestOffboardUser(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	acme, globex := b.organization("acme"), b.organization("globex")
	home := *must(db.SelectOne[db.Organization](t.Context(), b.db, "select * from organizations where is_default"))(t)
	b.definePermissions("thing:do", "thing:see")
	b.role("worker", permissionRefs("thing:do")...)
	b.role("auditor", permissionRefs(string(access.ChangesRead))...)
	b.role("newcomer")
	must(b.UpdateRole(b.ctx, directory.UpdateRoleInput{Role: roleRef("newcomer"), IsDefault: graphql.OmittableOf(new(true))}))(t)
	for name, c := range map[string]struct {
		orgs    []*db.Organization
		reasons int
	}{
		// The suspension, and the end of each membership; at home, of each grant.
		"stranger at home": {orgs: []*db.Organization{acme, globex}, reasons: 1 + 3},
		"at home":          {orgs: []*db.Organization{&home, acme}, reasons: 1 + 2 + 2 + 2 + 1},
		"only at home":     {orgs: []*db.Organization{&home}, reasons: 1 + 1 + 2 + 2 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := &business{b.Directory, t, b.db, b.ctx}
			l := newLeaver(b, strings.ReplaceAll(name, " ", "-"), c.orgs...)
			in := directory.OffboardUserInput{User: directory.UserRef{Username: l.user.Username}, Reason: new("why")}
			l.want(t, "before", map[string]int{"memberships": len(c.orgs) + 1, "keys": 4, "sessions": 1, "flows": 1, "invitations": 1, "active": 1, "permissions": 2})
			ended := map[string]int{
				"memberships": 1, "at home": 1, "roles": 0, "permissions": 0, "keys": 0, "sessions": 0, "flows": 0, "invitations": 0, "active": 0, "ends of a key": 1, "reasons": c.reasons,
			}
			var lost, keys int
			must(0, b.Writer.Atomically(b.ctx, func(ctx context.Context) error {
				if _, err := b.OffboardUser(ctx, in); err != nil {
					return err
				}
				impact := b.Impact(ctx)
				page, err := impact.Lost(ctx, list.Page{First: new(100)})
				if err != nil {
					return err
				}
				lost = len(page.Nodes)
				dying, err := impact.Keys(ctx)
				keys = len(dying)
				return err
			}))(t)
			if lost == 0 || keys != 4 {
				t.Errorf("%d permissions and %d keys are lost", lost, keys)
			}
			l.want(t, "offboarded", ended)
			changes := b.count("changes")
			must(b.OffboardUser(b.ctx, in))(t)
			if more := b.count("changes") - changes; more != 0 {
				t.Errorf("again, it makes %d changes", more)
			}
			must(b.RestoreUser(b.ctx, directory.UserActionInput{User: in.User}))(t)
			ended["active"] = 1
			l.want(t, "restored", ended)
			must(b.OffboardUser(b.ctx, in))(t)
			ended["active"], ended["reasons"] = 0, c.reasons+1
			l.want(t, "offboarded again", ended)
		})
	}
}

// What ends with somebody who is deleted ends once.
func TestDeletedUsersEndOnce(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("thing:do", "thing:see")
	b.role("worker", permissionRefs("thing:do")...)
	b.role("auditor", permissionRefs(string(access.ChangesRead))...)
	l := newLeaver(b, "ada", b.organization("acme"))
	must(b.DeleteUser(b.ctx, directory.UserActionInput{User: ada, Reason: new("why")}))(t)
	l.want(t, "deleted", map[string]int{"memberships": 0, "keys": 0, "sessions": 0, "flows": 0, "invitations": 0, "ends of a key": 1, "reasons": 1})
}
