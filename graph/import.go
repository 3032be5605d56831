package graph

import (
	"context"
	"encoding/json"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/graph/model"
	"roster/transfer"
	"roster/transfer/format"
)

func (r queryResolver) Import(ctx context.Context, id string) (*db.Import, error) {
	return r.transfer.Import(ctx, id)
}

func (r queryResolver) Imports(ctx context.Context, first *int, after *string, last *int, before *string) (*model.ImportConnection, error) {
	return r.transfer.Imports(ctx, page(first, after, last, before))
}

func (r importResolver) Rows(ctx context.Context, imports []*db.Import, outcome *db.ImportOutcome, first *int, after *string, last *int, before *string) ([]*model.ImportRowConnection, error) {
	return r.transfer.ImportRows(ctx, mapSlice(imports, importID), page(first, after, last, before), outcome)
}

func importID(im *db.Import) db.ImportID { return im.ID }

func (r importResolver) CreatedBy(ctx context.Context, imports []*db.Import) ([]model.Actor, error) {
	return r.actors(ctx, mapSlice(imports, func(im *db.Import) string { return im.CreatedBy }))
}

func (r importResolver) Format(_ context.Context, imports []*db.Import) ([]format.Format, error) {
	return mapSlice(imports, func(im *db.Import) format.Format { return format.Format(im.Format) }), nil
}

func (r importResolver) ErrorCode(_ context.Context, imports []*db.Import) ([]*model.ErrorCode, error) {
	return mapSlice(imports, func(im *db.Import) *model.ErrorCode { return (*model.ErrorCode)(im.ErrorCode) }), nil
}

// User returns whom the rows are about, to callers who may read users.
func (r importRowResolver) User(ctx context.Context, rows []*db.ImportRow) ([]*db.User, error) {
	if !access.ActorOf(ctx).HoldsEverywhere(access.UsersRead) {
		return make([]*db.User, len(rows)), nil
	}
	users, err := r.loaders.Users(ctx, mapSlice(rows, func(row *db.ImportRow) db.UserID { return orZero(row.UserID) }), selected(ctx))
	for i, user := range users {
		if user != nil && user.DeletedAt != nil {
			users[i] = nil
		}
	}
	return users, err
}

func (r importRowResolver) Errors(_ context.Context, rows []*db.ImportRow) ([][]*model.ImportRowError, error) {
	return rowErrors(rows, func(row *db.ImportRow) json.RawMessage { return row.Errors })
}

func (r importRowResolver) Warnings(_ context.Context, rows []*db.ImportRow) ([][]*model.ImportRowError, error) {
	return rowErrors(rows, func(row *db.ImportRow) json.RawMessage { return row.Warnings })
}

// rowErrors returns the faults that each row has stored.
func rowErrors(rows []*db.ImportRow, of func(*db.ImportRow) json.RawMessage) ([][]*model.ImportRowError, error) {
	all := make([][]*model.ImportRowError, len(rows))
	for i, row := range rows {
		text := of(row)
		if len(text) == 0 {
			continue
		}
		if err := json.Unmarshal(text, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Import returns the imports that have caused the changes, to callers who may import.
func (r changeResolver) Import(ctx context.Context, changes []*db.Change) ([]*db.Import, error) {
	if !access.ActorOf(ctx).HoldsEverywhere(access.ImportsWrite) {
		return make([]*db.Import, len(changes)), nil
	}
	return r.transfer.ImportsByID(ctx, mapSlice(changes, func(c *db.Change) db.ImportID { return orZero(c.ImportID) }))
}

func (r mutationResolver) PlanImport(ctx context.Context, input transfer.PlanImportInput) (*model.ImportPayload, error) {
	return importPayload(r.transfer.PlanImport(ctx, input))
}

func (r mutationResolver) ApplyImport(ctx context.Context, input transfer.ImportActionInput) (*model.ImportPayload, error) {
	return importPayload(r.transfer.ApplyImport(ctx, input))
}

func (r mutationResolver) CancelImport(ctx context.Context, input transfer.ImportActionInput) (*model.ImportPayload, error) {
	return importPayload(r.transfer.CancelImport(ctx, input))
}

func (r mutationResolver) UndoImport(ctx context.Context, input transfer.ImportActionInput) (*model.ImportPayload, error) {
	return importPayload(r.transfer.UndoImport(ctx, input))
}

func importPayload(im *db.Import, err error) (*model.ImportPayload, error) {
	return &model.ImportPayload{Import: im}, err
}

func (r mutationResolver) CreateUsers(ctx context.Context, input directory.CreateUsersInput) (*model.UsersPayload, error) {
	return r.payload(ctx).users(r.Directory.CreateUsers(ctx, input))
}
