package directory_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/access"
	"roster/db"
	"roster/directory"
)

// waits runs first, and then, before it commits, second, which has to wait for it.
// It returns the error of second.
func (b *business) waits(first func(ctx context.Context) error, second func() error) error {
	b.t.Helper()
	ended := make(chan error, 1)
	err := b.Writer.Atomically(b.ctx, func(ctx context.Context) error {
		if err := first(ctx); err != nil {
			return err
		}
		go func() { ended <- second() }()
		for until := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			if one[bool](b, "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')") {
				return nil
			}
			if time.Now().After(until) {
				b.t.Fatal("the second write does not wait for the first one")
			}
		}
	})
	must(0, err)(b.t)
	return <-ended
}

// contested is what two writes are about: a member of an organization which has the
// role among its default ones.
type contested struct {
	org  *db.Organization
	user *directory.UserRef
	role *db.Role
}

// A write that waits for a lock believes nothing that it read before: each line is a
// write that ends something, another one that relies on it and waits, and how that
// one is refused.
func TestNothingReadBeforeALockCounts(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.definePermissions("p")
	must(b.CreateRole(b.ctx, directory.CreateRoleInput{Key: "with-p", Permissions: permissionRefs("p"), IsDefault: true}))(t)
	home := b.organization("home")
	for i, c := range []struct {
		name          string
		first, second func(ctx context.Context, in contested) error
		want          string
	}{
		{"a key for a member who is removed", b.remove, b.keyFor, "NOT_FOUND input.user"},
		{"a key for a member who moves away", b.move, b.keyFor, "NOT_FOUND input.user"},
		{"a key for a user who is deleted", b.erase, b.keyFor, "NOT_FOUND input.user"},
		{"a key of the business for a user who is deleted", b.erase, func(ctx context.Context, in contested) error {
			_, _, err := b.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "x", User: in.user})
			return err
		}, "NOT_FOUND input.user"},
		{"a grant to a member who is removed", b.remove, b.grantTo, "NOT_FOUND input.users.0"},
		{"a grant to a user who is deleted", b.erase, b.grantTo, "NOT_FOUND input.users.0"},
		{"leaving the last organization", b.remove, func(ctx context.Context, in contested) error {
			return b.remove(ctx, contested{home, in.user, nil})
		}, "LAST_ORGANIZATION input.users.0"},
		{"joining an organization that is deleted", func(ctx context.Context, in contested) error {
			_, err := b.DeleteOrganization(ctx, directory.OrganizationActionInput{Organization: orgID(in.org)})
			return err
		}, b.grantTo, "NOT_FOUND input.organization"},
		{"a role that loses its place among the defaults and is deleted", func(ctx context.Context, in contested) error {
			_, err := b.UpdateOrganization(ctx, directory.UpdateOrganizationInput{Organization: orgID(in.org), DefaultRoles: graphql.OmittableOf([]*directory.RoleRef{})})
			return err
		}, func(ctx context.Context, in contested) error {
			_, err := b.DeleteRole(ctx, directory.RoleActionInput{Role: roleRef(in.role.Key)})
			return err
		}, ""},
		{"a role that is a default one no more", func(ctx context.Context, in contested) error {
			_, err := b.UpdateRole(ctx, directory.UpdateRoleInput{Role: roleRef("with-p"), IsDefault: graphql.OmittableOf(new(false))})
			return err
		}, func(_ context.Context, in contested) error {
			_, err := b.UpdateSettings(b.holding("", string(access.SettingsWrite)), directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf(roleRefs("with-p", in.role.Key))})
			return err
		}, "ESCALATION "},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := contested{role: b.role(fmt.Sprintf("role-%d", i))}
			in.org = must(b.CreateOrganization(b.ctx, directory.CreateOrganizationInput{Name: "x", DefaultRoles: roleRefs(in.role.Key)}))(t)
			in.user = userID(b.user(fmt.Sprintf("user-%d", i), in.org, home))
			err := b.waits(
				func(ctx context.Context) error { return c.first(ctx, in) },
				func() error { return c.second(b.ctx, in) })
			wantFaults(t, err, c.want)
			if n := one[int](b, `select count(*)::int from api_keys k where revoked_at is null and user_id is not null
				and not exists (select from memberships m where m.user_id = k.user_id and m.org_id = coalesce(k.org_id, m.org_id))`); n > 0 {
				t.Errorf("%d keys stand for somebody who is no member", n)
			}
			if n := one[int](b, "select count(*)::int from changes where action = 'organization.updated' and before = after"); n > 0 {
				t.Errorf("%d changes changed nothing", n)
			}
		})
	}
}

func (b *business) remove(ctx context.Context, in contested) error {
	_, err := b.RemoveMembers(ctx, directory.RemoveMembersInput{Organization: orgID(in.org), Users: []*directory.UserRef{in.user}})
	return err
}

func (b *business) move(ctx context.Context, in contested) error {
	_, err := b.MoveMember(ctx, directory.MoveMemberInput{User: *in.user, From: orgID(in.org), To: orgCode("default")})
	return err
}

func (b *business) erase(ctx context.Context, in contested) error {
	_, err := b.DeleteUser(ctx, directory.UserActionInput{User: *in.user})
	return err
}

func (b *business) keyFor(ctx context.Context, in contested) error {
	_, _, err := b.CreateAPIKey(ctx, directory.CreateAPIKeyInput{Name: "x", Organization: new(orgID(in.org)), User: in.user})
	return err
}

func (b *business) grantTo(ctx context.Context, in contested) error {
	_, err := b.GrantPermissions(ctx, directory.GrantPermissionsInput{Organization: orgID(in.org), Users: []*directory.UserRef{in.user}, Permissions: permissionRefs("p")})
	return err
}
