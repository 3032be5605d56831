package graph

import (
	"context"

	"roster/db"
	"roster/directory"
	"roster/graph/model"
)

func (r queryResolver) Role(ctx context.Context, by directory.RoleRef) (*db.Role, error) {
	return r.Directory.Role(ctx, by)
}

func (r queryResolver) Roles(ctx context.Context, first *int, after *string, last *int, before *string, search *string) (*model.RoleConnection, error) {
	return r.Directory.Roles(ctx, page(first, after, last, before), search)
}

func roleID(r *db.Role) db.RoleID { return r.ID }

func (r roleResolver) Permissions(ctx context.Context, roles []*db.Role) ([][]*db.Permission, error) {
	return r.RolePermissions(ctx, mapSlice(roles, roleID))
}

func (r roleResolver) Members(ctx context.Context, roles []*db.Role, organization *directory.OrganizationRef,
	first *int, after *string, last *int, before *string,
) ([]*model.MembershipConnection, error) {
	return membershipPages(ctx, page(first, after, last, before), func(p directory.MemberPage) ([]*model.MembershipConnection, error) {
		return r.RoleMembers(ctx, mapSlice(roles, roleID), organization, p)
	})
}

func (r mutationResolver) CreateRole(ctx context.Context, input directory.CreateRoleInput) (*model.RolePayload, error) {
	return r.payload(ctx).role(r.Directory.CreateRole(ctx, input))
}

func (r mutationResolver) UpdateRole(ctx context.Context, input directory.UpdateRoleInput) (*model.RolePayload, error) {
	return r.payload(ctx).role(r.Directory.UpdateRole(ctx, input))
}

func (r mutationResolver) DeleteRole(ctx context.Context, input directory.RoleActionInput) (*model.DeletePayload, error) {
	return r.payload(ctx).deleted(r.Directory.DeleteRole(ctx, input))
}

func (r mutationResolver) AddRolePermissions(ctx context.Context, input directory.RolePermissionsInput) (*model.RolePayload, error) {
	return r.payload(ctx).role(r.Directory.AddRolePermissions(ctx, input))
}

func (r mutationResolver) RemoveRolePermissions(ctx context.Context, input directory.RolePermissionsInput) (*model.RolePayload, error) {
	return r.payload(ctx).role(r.Directory.RemoveRolePermissions(ctx, input))
}
