package graph

import (
	"context"

	"roster/graph/model"
	"roster/transfer"
)

func (r mutationResolver) ExportUsers(ctx context.Context, input transfer.ExportUsersInput) (*model.ExportPayload, error) {
	export, err := r.transfer.ExportUsers(ctx, input)
	return &model.ExportPayload{Export: export}, err
}
