package graph

import (
	"context"

	"roster/db"
	"roster/directory"
	"roster/graph/model"
)

func (r applicationResolver) Organization(ctx context.Context, applications []*db.Application) ([]*db.Organization, error) {
	ids, err := r.ApplicationOrganizations(ctx, applications)
	if err != nil {
		return nil, err
	}
	return r.loaders.Organizations(ctx, ids, selected(ctx))
}

func (r applicationResolver) Permissions(ctx context.Context, applications []*db.Application) ([][]*db.Permission, error) {
	return r.ApplicationPermissions(ctx, applications)
}

func (r mutationResolver) CreateApplication(ctx context.Context, input directory.CreateApplicationInput) (*model.ApplicationPayload, error) {
	app, shown, err := r.Directory.CreateApplication(ctx, input)
	return applicationPayload(app, shown.Reveal(), err)
}

func (r mutationResolver) UpdateApplication(ctx context.Context, input directory.UpdateApplicationInput) (*model.ApplicationPayload, error) {
	app, err := r.Directory.UpdateApplication(ctx, input)
	return &model.ApplicationPayload{Application: app}, err
}

func (r mutationResolver) RollApplicationSecret(ctx context.Context, input directory.ApplicationActionInput) (*model.ApplicationPayload, error) {
	app, shown, err := r.Directory.RollApplicationSecret(ctx, input)
	return applicationPayload(app, shown.Reveal(), err)
}

func applicationPayload(app *db.Application, shown string, err error) (*model.ApplicationPayload, error) {
	if err != nil {
		return nil, err
	}
	payload := &model.ApplicationPayload{Application: app}
	if shown != "" {
		payload.ClientSecret = &shown
	}
	return payload, nil
}

func (r mutationResolver) DeleteApplication(ctx context.Context, input directory.ApplicationActionInput) (*model.DeletePayload, error) {
	return r.payload(ctx).deleted(r.Directory.DeleteApplication(ctx, input))
}
