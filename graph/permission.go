package graph

import (
	"context"

	"roster/db"
	"roster/directory"
	"roster/graph/model"
)

func (r queryResolver) Permission(ctx context.Context, by directory.PermissionRef) (*db.Permission, error) {
	return r.Directory.Permission(ctx, by)
}

func (r queryResolver) Permissions(ctx context.Context, first *int, after *string, last *int, before *string, search *string) (*model.PermissionConnection, error) {
	return r.Directory.Permissions(ctx, page(first, after, last, before), search)
}

func permissionID(p *db.Permission) db.PermissionID { return p.ID }

func (r permissionResolver) FormerKeys(ctx context.Context, permissions []*db.Permission) ([][]*db.FormerKey, error) {
	return r.Directory.FormerKeys(ctx, mapSlice(permissions, permissionID))
}

func (r permissionResolver) Roles(ctx context.Context, permissions []*db.Permission) ([][]*db.Role, error) {
	return r.PermissionRoles(ctx, mapSlice(permissions, permissionID))
}

func (r permissionResolver) Holders(ctx context.Context, permissions []*db.Permission, organization *directory.OrganizationRef,
	first *int, after *string, last *int, before *string,
) ([]*model.MembershipConnection, error) {
	return membershipPages(ctx, page(first, after, last, before), func(p directory.MemberPage) ([]*model.MembershipConnection, error) {
		return r.PermissionHolders(ctx, mapSlice(permissions, permissionID), organization, p)
	})
}

func (r mutationResolver) CreatePermission(ctx context.Context, input directory.CreatePermissionInput) (*model.PermissionPayload, error) {
	return r.payload(ctx).permission(r.Directory.CreatePermission(ctx, input))
}

func (r mutationResolver) UpdatePermission(ctx context.Context, input directory.UpdatePermissionInput) (*model.PermissionPayload, error) {
	return r.payload(ctx).permission(r.Directory.UpdatePermission(ctx, input))
}

func (r mutationResolver) DeletePermission(ctx context.Context, input directory.PermissionActionInput) (*model.DeletePayload, error) {
	return r.payload(ctx).deleted(r.Directory.DeletePermission(ctx, input))
}

func (r queryResolver) Can(ctx context.Context, user directory.UserRef, organization directory.OrganizationRef, permission string) (bool, error) {
	return r.Directory.Can(ctx, user, organization, permission)
}

func (r queryResolver) Checks(ctx context.Context, input []*directory.CheckInput) ([]bool, error) {
	return r.Directory.Checks(ctx, input)
}

func (r queryResolver) CheckMatrix(ctx context.Context, organization directory.OrganizationRef, users []*directory.UserRef, permissions []string) ([][]bool, error) {
	return r.Directory.CheckMatrix(ctx, organization, users, permissions)
}

func (r queryResolver) Explain(ctx context.Context, user directory.UserRef, organization directory.OrganizationRef, permission string) (*directory.Explanation, error) {
	return r.Directory.Explain(ctx, user, organization, permission)
}
