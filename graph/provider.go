package graph

import (
	"context"

	"roster/db"
	"roster/directory"
	"roster/graph/model"
	"roster/signin"
)

func (r queryResolver) IdentityProviders(ctx context.Context, email *string) ([]*db.IdentityProvider, error) {
	return r.Directory.IdentityProviders(ctx, email)
}

func (r mutationResolver) CreateIdentityProvider(ctx context.Context, input directory.CreateIdentityProviderInput) (*model.IdentityProviderPayload, error) {
	row, err := r.Directory.CreateIdentityProvider(ctx, input)
	return &model.IdentityProviderPayload{Provider: row}, err
}

func (r mutationResolver) UpdateIdentityProvider(ctx context.Context, input directory.UpdateIdentityProviderInput) (*model.IdentityProviderPayload, error) {
	row, err := r.Directory.UpdateIdentityProvider(ctx, input)
	return &model.IdentityProviderPayload{Provider: row}, err
}

func (r mutationResolver) DeleteIdentityProvider(ctx context.Context, input directory.IdentityProviderActionInput) (*model.DeletePayload, error) {
	return r.payload(ctx).deleted(r.Directory.DeleteIdentityProvider(ctx, input))
}

func (r identityProviderResolver) ClientID(ctx context.Context, rows []*db.IdentityProvider) ([]string, error) {
	return r.ProviderClientIDs(ctx, rows)
}

func (r identityProviderResolver) Domains(ctx context.Context, rows []*db.IdentityProvider) ([][]string, error) {
	return r.ProviderDomains(ctx, rows)
}

func (r identityProviderResolver) Organization(ctx context.Context, rows []*db.IdentityProvider) ([]*db.Organization, error) {
	ids, err := r.ProviderOrganizations(ctx, rows)
	if err != nil {
		return nil, err
	}
	return r.loaders.Organizations(ctx, ids, selected(ctx))
}

func (r identityProviderResolver) StartURL(_ context.Context, rows []*db.IdentityProvider) ([]string, error) {
	return r.addresses(rows, func(all signin.ProviderURLs) string { return all.Start }), nil
}

func (r identityProviderResolver) LinkURL(_ context.Context, rows []*db.IdentityProvider) ([]string, error) {
	return r.addresses(rows, func(all signin.ProviderURLs) string { return all.Link }), nil
}

func (r identityProviderResolver) CallbackURL(_ context.Context, rows []*db.IdentityProvider) ([]string, error) {
	return r.addresses(rows, func(all signin.ProviderURLs) string { return all.Callback }), nil
}

// addresses returns one of the addresses of each provider.
func (r *resolver) addresses(rows []*db.IdentityProvider, which func(signin.ProviderURLs) string) []string {
	return mapSlice(rows, func(p *db.IdentityProvider) string { return which(r.signIn.ProviderURLs(p.Key)) })
}
