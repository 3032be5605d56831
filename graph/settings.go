package graph

import (
	"context"

	"roster/directory"
	"roster/graph/model"
)

func (r queryResolver) Settings(ctx context.Context) (*directory.Settings, error) {
	return r.Directory.Settings(ctx)
}

func (r mutationResolver) UpdateSettings(ctx context.Context, input directory.UpdateSettingsInput) (*model.SettingsPayload, error) {
	settings, err := r.Directory.UpdateSettings(ctx, input)
	return &model.SettingsPayload{Settings: settings}, err
}
