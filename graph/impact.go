package graph

import (
	"context"

	"roster/db"
	"roster/db/list"
	"roster/directory"
	"roster/graph/model"
	"roster/impact"
)

// payload makes the payloads of mutations, which have the impact of the mutation.
type payload struct{ impact func() *directory.Impact }

// payload returns the maker of payloads for the mutation that is resolved on ctx.
// It takes the directory's results: r.payload(ctx).user(r.Directory.CreateUser(ctx,
// input)).
func (r mutationResolver) payload(ctx context.Context) payload {
	return payload{func() *directory.Impact { return r.Directory.Impact(ctx) }}
}

func (p payload) user(user *db.User, err error) (*model.UserPayload, error) {
	return &model.UserPayload{User: user, Impact: p.impact()}, err
}

func (p payload) users(users []*db.User, err error) (*model.UsersPayload, error) {
	return &model.UsersPayload{Users: users, Impact: p.impact()}, err
}

func (p payload) organization(org *db.Organization, err error) (*model.OrganizationPayload, error) {
	return &model.OrganizationPayload{Organization: org, Impact: p.impact()}, err
}

func (p payload) membership(member *db.Membership, err error) (*model.MembershipPayload, error) {
	return &model.MembershipPayload{Membership: member, Impact: p.impact()}, err
}

func (p payload) memberships(members []*db.Membership, err error) (*model.MembershipsPayload, error) {
	return &model.MembershipsPayload{Memberships: members, Impact: p.impact()}, err
}

func (p payload) role(role *db.Role, err error) (*model.RolePayload, error) {
	return &model.RolePayload{Role: role, Impact: p.impact()}, err
}

func (p payload) permission(permission *db.Permission, err error) (*model.PermissionPayload, error) {
	return &model.PermissionPayload{Permission: permission, Impact: p.impact()}, err
}

func (p payload) apiKey(key *db.APIKey, err error) (*model.APIKeyPayload, error) {
	return &model.APIKeyPayload{APIKey: key, Impact: p.impact()}, err
}

func (p payload) deleted(ids []string, err error) (*model.DeletePayload, error) {
	return &model.DeletePayload{DeletedIds: ids, Impact: p.impact()}, err
}

func (r impactResolver) Gained(ctx context.Context, impacts []*directory.Impact, first *int, after *string) ([]*model.ImpactConnection, error) {
	return impactPages(ctx, impacts, (*directory.Impact).Gained, first, after)
}

func (r impactResolver) Lost(ctx context.Context, impacts []*directory.Impact, first *int, after *string) ([]*model.ImpactConnection, error) {
	return impactPages(ctx, impacts, (*directory.Impact).Lost, first, after)
}

func (r impactResolver) Keys(ctx context.Context, impacts []*directory.Impact) ([][]*db.APIKey, error) {
	keys := make([][]*db.APIKey, len(impacts))
	for i, impact := range impacts {
		var err error
		if keys[i], err = impact.Keys(ctx); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// impactPages reads a page of each impact: each field of a mutation has one.
func impactPages(ctx context.Context, impacts []*directory.Impact,
	read func(*directory.Impact, context.Context, list.Page) (*model.ImpactConnection, error), first *int, after *string,
) ([]*model.ImpactConnection, error) {
	pages := make([]*model.ImpactConnection, len(impacts))
	for i, impact := range impacts {
		var err error
		if pages[i], err = read(impact, ctx, list.Page{First: first, After: after}); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

func (r permissionChangeResolver) User(ctx context.Context, changes []*impact.PermissionChange) ([]*db.User, error) {
	return r.loaders.Users(ctx, mapSlice(changes, func(c *impact.PermissionChange) db.UserID { return c.Member.User }), selected(ctx))
}

func (r permissionChangeResolver) Organization(ctx context.Context, changes []*impact.PermissionChange) ([]*db.Organization, error) {
	return r.loaders.Organizations(ctx, mapSlice(changes, func(c *impact.PermissionChange) db.OrganizationID { return c.Member.Organization }), selected(ctx))
}
