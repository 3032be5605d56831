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

func (r viewerResolver) Organization(ctx context.Context, viewers []*model.Viewer) ([]*db.Organization, error) {
	ids := each(viewers, func(v *model.Viewer) db.OrganizationID { return orZero(v.Actor.Organization) })
	return r.loaders.Organizations(ctx, ids, selected(ctx))
}
