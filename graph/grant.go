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
	parties := mapSlice(texts, access.ParseActor)
	users, err := r.loaders.Actors(ctx, mapSlice(parties, func(p access.Party) db.UserID { return p.User }))
	if err != nil {
		return nil, err
	}
	keys, err := r.loaders.APIKeys(ctx, mapSlice(parties, func(p access.Party) db.APIKeyID { return p.Key }))
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		if key != nil && key.IsApplication { // what answers for a key that an application has made
			parties[i].Application, keys[i] = db.ApplicationID(key.ID), nil
		}
	}
	applications, err := r.loaders.Applications(ctx, mapSlice(parties, func(p access.Party) db.ApplicationID { return p.Application }))
	if err != nil {
		return nil, err
	}
	all := make([]model.Actor, len(texts))
	for i, p := range parties {
		switch {
		case users[i] != nil:
			all[i] = users[i]
		case keys[i] != nil:
			all[i] = keys[i]
		case applications[i] != nil:
			all[i] = applications[i]
		case p.System != "":
			all[i] = &model.System{Name: p.System}
		}
	}
	return all, nil
}
