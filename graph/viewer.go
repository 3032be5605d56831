package graph

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/graph/model"
)

func (r queryResolver) Viewer(ctx context.Context) (*model.Viewer, error) {
	if actor := access.ActorOf(ctx); actor != nil {
		return &model.Viewer{Actor: actor}, nil
	}
	return nil, nil
}

func (r viewerResolver) User(ctx context.Context, viewers []*model.Viewer) ([]*db.User, error) {
	return r.loaders.Users(ctx, mapSlice(viewers, func(v *model.Viewer) db.UserID { return orZero(v.Actor.User) }), selected(ctx))
}

func (r viewerResolver) Membership(ctx context.Context, viewers []*model.Viewer) ([]*db.Membership, error) {
	members := make([]*db.Membership, len(viewers))
	actor := access.ActorOf(ctx)
	if actor.User == nil || actor.Organization == nil {
		return members, nil
	}
	return r.loaders.MembersAt(ctx, mapSlice(viewers, func(*model.Viewer) access.MemberKey {
		return access.MemberKey{User: *actor.User, Organization: *actor.Organization}
	}))
}

func (r viewerResolver) Organization(ctx context.Context, viewers []*model.Viewer) ([]*db.Organization, error) {
	ids := mapSlice(viewers, func(v *model.Viewer) db.OrganizationID { return orZero(v.Actor.Organization) })
	return r.loaders.Organizations(ctx, ids, selected(ctx))
}

func (r viewerResolver) Organizations(ctx context.Context, viewers []*model.Viewer) ([][]*db.Organization, error) {
	ids, err := r.ViewerOrganizations(ctx)
	if err != nil {
		return nil, err
	}
	return r.organizationsEach(ctx, mapSlice(viewers, func(*model.Viewer) []db.OrganizationID { return ids }))
}

func (r viewerResolver) Sessions(ctx context.Context, viewers []*model.Viewer) ([][]*db.Session, error) {
	sessions, err := r.signIn.OwnSessions(ctx)
	return mapSlice(viewers, func(*model.Viewer) []*db.Session { return sessions }), err
}

func (r viewerResolver) Permissions(ctx context.Context, viewers []*model.Viewer) ([][]string, error) {
	keys, err := r.ViewerPermissions(ctx)
	return mapSlice(viewers, func(*model.Viewer) []string { return keys }), err
}

func (r viewerResolver) Can(ctx context.Context, viewers []*model.Viewer, permission string) ([]bool, error) {
	can, err := r.ViewerCan(ctx, permission)
	return mapSlice(viewers, func(*model.Viewer) bool { return can }), err
}

func (queryResolver) ErrorCodes(context.Context) ([]model.ErrorCode, error) {
	return model.AllErrorCode, nil
}
