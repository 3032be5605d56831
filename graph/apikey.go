package graph

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/graph/model"
)

func (r queryResolver) APIKeys(ctx context.Context, first *int, after *string, last *int, before *string) (*model.ApiKeyConnection, error) {
	return r.Directory.APIKeys(ctx, page(first, after, last, before), nil)
}

func (r apiKeyResolver) Organization(ctx context.Context, keys []*db.APIKey) ([]*db.Organization, error) {
	return r.loaders.Organizations(ctx, mapSlice(keys, func(k *db.APIKey) db.OrganizationID { return orZero(k.OrgID) }), selected(ctx))
}

func (r apiKeyResolver) User(ctx context.Context, keys []*db.APIKey) ([]*db.User, error) {
	return r.APIKeyUsers(ctx, keys, selected(ctx))
}

func (r apiKeyResolver) Permissions(ctx context.Context, keys []*db.APIKey) ([][]*db.Permission, error) {
	return r.APIKeyPermissions(ctx, mapSlice(keys, func(k *db.APIKey) db.APIKeyID { return k.ID }))
}

func (r apiKeyResolver) CreatedBy(ctx context.Context, keys []*db.APIKey) ([]model.Actor, error) {
	return r.actors(ctx, mapSlice(keys, func(k *db.APIKey) string { return k.CreatedBy }))
}

func (r apiKeyResolver) Responsible(ctx context.Context, keys []*db.APIKey) ([]model.Actor, error) {
	return r.actors(ctx, mapSlice(keys, responsible))
}

// responsible returns the text form of the actor that answers for the key.
func responsible(k *db.APIKey) string {
	switch {
	case k.ResponsibleID != nil:
		return k.ResponsibleID.String()
	case k.ResponsibleUserID != nil:
		return k.ResponsibleUserID.String()
	}
	return access.System("business").String()
}

func (r mutationResolver) CreateAPIKey(ctx context.Context, input directory.CreateAPIKeyInput) (*model.CreateAPIKeyPayload, error) {
	key, shown, err := r.Directory.CreateAPIKey(ctx, input)
	return &model.CreateAPIKeyPayload{APIKey: key, Secret: shown.Reveal()}, err
}

func (r mutationResolver) RevokeAPIKey(ctx context.Context, input directory.APIKeyActionInput) (*model.APIKeyPayload, error) {
	return r.payload(ctx).apiKey(r.Directory.RevokeAPIKey(ctx, input))
}

func (r mutationResolver) AdoptAPIKey(ctx context.Context, input directory.APIKeyActionInput) (*model.APIKeyPayload, error) {
	return r.payload(ctx).apiKey(r.Directory.AdoptAPIKey(ctx, input))
}

// orZero returns the value that p points at, or the zero value if p is nil.
func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
