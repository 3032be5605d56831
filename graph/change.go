package graph

import (
	"context"

	"roster/db"
	"roster/directory"
	"roster/graph/model"
)

func (r queryResolver) Changes(ctx context.Context, first *int, after *string, last *int, before *string, filter *directory.ChangeFilter) (*model.ChangeConnection, error) {
	return r.Directory.Changes(ctx, page(first, after, last, before), filter)
}

func (r changeResolver) Actor(ctx context.Context, changes []*db.Change) ([]model.Actor, error) {
	return r.actors(ctx, mapSlice(changes, func(c *db.Change) string { return c.Actor }))
}

func (r changeResolver) Subject(ctx context.Context, changes []*db.Change) ([]model.Node, error) {
	return r.nodes(ctx, mapSlice(changes, func(c *db.Change) string { return c.Subject }))
}

func (r changeResolver) Organization(ctx context.Context, changes []*db.Change) ([]*db.Organization, error) {
	orgs, err := r.loaders.Organizations(ctx, mapSlice(changes, func(c *db.Change) db.OrganizationID { return orZero(c.OrgID) }), nil)
	for i, org := range orgs {
		if org != nil && org.DeletedAt != nil {
			orgs[i] = nil
		}
	}
	return orgs, err
}

func (r queryResolver) Node(ctx context.Context, id string) (model.Node, error) {
	nodes, err := r.Directory.Nodes(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	return nodes[0], nil
}

func (r queryResolver) Nodes(ctx context.Context, ids []string) ([]model.Node, error) {
	return r.nodes(ctx, ids)
}

// nodes returns the objects with those ids, in order; nil where there is none.
func (r *resolver) nodes(ctx context.Context, ids []string) ([]model.Node, error) {
	found, err := r.Directory.Nodes(ctx, ids)
	return mapSlice(found, func(node any) model.Node { return node }), err
}
