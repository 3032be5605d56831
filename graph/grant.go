package graph

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/graph/model"
)

func (r roleGrantResolver) Role(ctx context.Context, grants []*directory.RoleGrant) ([]*db.Role, error) {
	return r.RolesByID(ctx, mapSlice(grants, func(g *directory.RoleGrant) db.RoleID { return g.RoleID }))
}

func (r roleGrantResolver) Membership(ctx context.Context, grants []*directory.RoleGrant) ([]*db.Membership, error) {
	return r.loaders.MembersAt(ctx, mapSlice(grants, (*directory.RoleGrant).MemberKey))
}

func (r roleGrantResolver) GrantedBy(ctx context.Context, grants []*directory.RoleGrant) ([]model.Actor, error) {
	return r.actors(ctx, mapSlice(grants, func(g *directory.RoleGrant) string { return g.GrantedBy }))
}

func (r roleGrantResolver) RevokedBy(ctx context.Context, grants []*directory.RoleGrant) ([]model.Actor, error) {
	return r.actors(ctx, mapSlice(grants, func(g *directory.RoleGrant) string { return orZero(g.RevokedBy) }))
}

func (r permissionGrantResolver) Permission(ctx context.Context, grants []*directory.PermissionGrant) ([]*db.Permission, error) {
	return r.PermissionsByID(ctx, mapSlice(grants, func(g *directory.PermissionGrant) db.PermissionID { return g.PermissionID }))
}

func (r permissionGrantResolver) Membership(ctx context.Context, grants []*directory.PermissionGrant) ([]*db.Membership, error) {
	return r.loaders.MembersAt(ctx, mapSlice(grants, (*directory.PermissionGrant).MemberKey))
}

func (r permissionGrantResolver) GrantedBy(ctx context.Context, grants []*directory.PermissionGrant) ([]model.Actor, error) {
	return r.actors(ctx, mapSlice(grants, func(g *directory.PermissionGrant) string { return g.GrantedBy }))
}

func (r permissionGrantResolver) RevokedBy(ctx context.Context, grants []*directory.PermissionGrant) ([]model.Actor, error) {
	return r.actors(ctx, mapSlice(grants, func(g *directory.PermissionGrant) string { return orZero(g.RevokedBy) }))
}

func (r mutationResolver) GrantRoles(ctx context.Context, input directory.GrantRolesInput) (*model.MembershipsPayload, error) {
	return r.payload(ctx).memberships(r.Directory.GrantRoles(ctx, input))
}

func (r mutationResolver) RevokeRoles(ctx context.Context, input directory.RevokeRolesInput) (*model.MembershipsPayload, error) {
	return r.payload(ctx).memberships(r.Directory.RevokeRoles(ctx, input))
}

func (r mutationResolver) GrantPermissions(ctx context.Context, input directory.GrantPermissionsInput) (*model.MembershipsPayload, error) {
	return r.payload(ctx).memberships(r.Directory.GrantPermissions(ctx, input))
}

func (r mutationResolver) RevokePermissions(ctx context.Context, input directory.RevokePermissionsInput) (*model.MembershipsPayload, error) {
	return r.payload(ctx).memberships(r.Directory.RevokePermissions(ctx, input))
}

// actors returns the actors that the texts stand for; nil for an empty text.
func (r *resolver) actors(ctx context.Context, texts []string) ([]model.Actor, error) {
	users, keys := make([]db.UserID, len(texts)), make([]db.APIKeyID, len(texts))
	all := make([]model.Actor, len(texts))
	for i, text := range texts {
		user, key, system := access.ParseActor(text)
		switch {
		case user != nil:
			users[i] = *user
		case key != nil:
			keys[i] = *key
		case system != "":
			all[i] = &model.System{Name: system}
		}
	}
	foundUsers, err := r.loaders.Actors(ctx, users)
	if err != nil {
		return nil, err
	}
	foundKeys, err := r.loaders.APIKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if foundUsers[i] != nil {
			all[i] = foundUsers[i]
		} else if foundKeys[i] != nil {
			all[i] = foundKeys[i]
		}
	}
	return all, nil
}
