package directory_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"roster/access"
	"roster/db"
	"roster/directory"
)

// Impact lists the keys for which authentication answers otherwise after the write
// than before; only an actor who manages a key sees it.
func TestImpactOnKeys(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	acme, globex := b.organization("acme"), b.organization("globex")
	b.user("ada", acme, globex)
	bob := b.user("bob", globex)
	for name, in := range map[string]directory.CreateAPIKeyInput{
		"business": {}, "acme": {Organization: new(orgCode("acme"))}, "globex": {Organization: new(orgCode("globex"))},
		"ada": {User: &ada}, "ada-acme": {User: &ada, Organization: new(orgCode("acme"))}, "bob": {User: userID(bob)},
		"expired": {}, "revoked": {User: &ada},
	} {
		in.Name = name
		key, _, err := b.CreateAPIKey(b.ctx, in)
		must(key, err)(t)
	}
	must(b.db.ExecContext(b.ctx, "update api_keys set expires_at = now() where name = 'expired'"))(t)
	revoked := one[db.APIKeyID](b, "select id from api_keys where name = 'revoked'")
	must(b.RevokeAPIKey(b.ctx, directory.APIKeyActionInput{APIKey: revoked.String()}))(t)
	suspended := func(ctx context.Context) error {
		return noResult(b.SuspendUser(ctx, directory.UserActionInput{User: ada}))
	}
	inAcme := directory.MemberActionInput{User: ada, Organization: orgCode("acme")}
	memberSuspended := func(ctx context.Context) error { return noResult(b.SuspendMember(ctx, inAcme)) }
	deleted := func(ctx context.Context) error {
		return noResult(b.DeleteOrganization(ctx, directory.OrganizationActionInput{Organization: orgCode("acme")}))
	}
	removed := func(ctx context.Context) error {
		return noResult(b.RemoveMembers(ctx, directory.RemoveMembersInput{Organization: orgCode("acme"), Users: []*directory.UserRef{&ada}}))
	}
	undone := errors.New("undone")
	for name, c := range map[string]struct {
		first, write func(ctx context.Context) error
		want, inAcme string
	}{
		"a key revoked": {write: func(ctx context.Context) error {
			id := one[db.APIKeyID](b, "select id from api_keys where name = 'business'")
			return noResult(b.RevokeAPIKey(ctx, directory.APIKeyActionInput{APIKey: id.String()}))
		}, want: "business"},
		"an expired key revoked": {write: func(ctx context.Context) error {
			id := one[db.APIKeyID](b, "select id from api_keys where name = 'expired'")
			return noResult(b.RevokeAPIKey(ctx, directory.APIKeyActionInput{APIKey: id.String()}))
		}},
		"a user suspended": {write: suspended, want: "ada ada-acme", inAcme: "ada-acme"},
		"a user restored": {first: suspended, write: func(ctx context.Context) error {
			return noResult(b.RestoreUser(ctx, directory.UserActionInput{User: ada}))
		}, want: "ada ada-acme", inAcme: "ada-acme"},
		"a user suspended again": {first: suspended, write: suspended},
		"a user deleted": {write: func(ctx context.Context) error {
			return noResult(b.DeleteUser(ctx, directory.UserActionInput{User: ada}))
		}, want: "Key of a deleted user Key of a deleted user", inAcme: "Key of a deleted user"},
		"a suspended user deleted": {first: suspended, write: func(ctx context.Context) error {
			return noResult(b.DeleteUser(ctx, directory.UserActionInput{User: ada}))
		}},
		"an organization suspended": {write: func(ctx context.Context) error {
			return noResult(b.SuspendOrganization(ctx, directory.OrganizationActionInput{Organization: orgCode("acme")}))
		}, want: "acme ada-acme", inAcme: "acme ada-acme"},
		"an organization of a suspended user restored": {first: func(ctx context.Context) error {
			return errors.Join(suspended(ctx), noResult(b.SuspendOrganization(ctx, directory.OrganizationActionInput{Organization: orgCode("acme")})))
		}, write: func(ctx context.Context) error {
			return noResult(b.RestoreOrganization(ctx, directory.OrganizationActionInput{Organization: orgCode("acme")}))
		}, want: "acme", inAcme: "acme"},
		"an organization deleted":                       {write: deleted, want: "acme ada-acme", inAcme: "acme ada-acme"},
		"an organization of a suspended member deleted": {first: memberSuspended, write: deleted, want: "acme", inAcme: "acme"},
		"a member removed":                              {write: removed, want: "ada-acme", inAcme: "ada-acme"},
		"a suspended member removed":                    {first: memberSuspended, write: removed},
		"a member suspended":                            {write: memberSuspended, want: "ada-acme", inAcme: "ada-acme"},
		"a member suspended again":                      {first: memberSuspended, write: memberSuspended},
		"a member of a suspended user suspended":        {first: suspended, write: memberSuspended},
		"a member restored": {first: memberSuspended, write: func(ctx context.Context) error {
			return noResult(b.RestoreMember(ctx, inAcme))
		}, want: "ada-acme", inAcme: "ada-acme"},
		"a role made": {write: func(ctx context.Context) error {
			return noResult(b.CreateRole(ctx, directory.CreateRoleInput{Key: "any"}))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			err := b.Writer.Atomically(b.ctx, func(ctx context.Context) error {
				if c.first != nil {
					if err := c.first(ctx); err != nil {
						return err
					}
				}
				if err := c.write(ctx); err != nil {
					return err
				}
				impact := b.Impact(ctx)
				for who, want := range map[string]string{"all": c.want, "acme": c.inAcme, "none": ""} {
					if got := namesOf(must(impact.Keys(b.asManagerOf(ctx, who, acme)))(t)); got != want {
						t.Errorf("to who manages %s: %q, want %q", who, got, want)
					}
				}
				return undone
			})
			if !errors.Is(err, undone) {
				t.Error(err)
			}
		})
	}
}

func namesOf(keys []*db.APIKey) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// asManagerOf returns a context whose actor manages the keys of the organization, all
// keys or none.
func (b *business) asManagerOf(ctx context.Context, which string, org *db.Organization) context.Context {
	switch which {
	case "acme":
		return access.WithActor(ctx, &access.Actor{Key: &db.APIKey{}, Permissions: []access.Permission{access.KeysWrite}, Organization: &org.ID})
	case "none":
		return access.WithActor(ctx, &access.Actor{Key: &db.APIKey{}})
	}
	return ctx
}
