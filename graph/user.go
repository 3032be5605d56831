package graph

import (
	"context"

	"roster/db"
	"roster/directory"
	"roster/graph/model"
)

func (r queryResolver) User(ctx context.Context, by directory.UserRef) (*db.User, error) {
	return r.Directory.User(ctx, by, selected(ctx))
}

func (r queryResolver) Users(ctx context.Context, first *int, after *string, last *int, before *string,
	filter *directory.UserFilter, orderBy *directory.UserOrder,
) (*model.UserConnection, error) {
	return r.Directory.Users(ctx, page(first, after, last, before), filter, orderBy, selectedNodes(ctx))
}

func userID(u *db.User) db.UserID { return u.ID }

func (r userResolver) Identities(ctx context.Context, users []*db.User) ([][]*db.Identity, error) {
	return r.Directory.Identities(ctx, mapSlice(users, userID))
}

func (r userResolver) Memberships(ctx context.Context, users []*db.User, first *int, after *string, last *int, before *string,
	can *string,
) ([]*model.MembershipConnection, error) {
	return membershipPages(ctx, page(first, after, last, before), func(p directory.MemberPage) ([]*model.MembershipConnection, error) {
		return r.UserMemberships(ctx, mapSlice(users, userID), p, can)
	})
}

func (r userResolver) Membership(ctx context.Context, users []*db.User, organization directory.OrganizationRef) ([]*db.Membership, error) {
	places, err := r.MemberKeysOfUsers(ctx, mapSlice(users, userID), organization)
	if err != nil {
		return nil, err
	}
	return r.loaders.MembersAt(ctx, places)
}

func (r userResolver) Can(ctx context.Context, users []*db.User, organization directory.OrganizationRef, permission string) ([]bool, error) {
	return r.CanUsers(ctx, mapSlice(users, userID), organization, permission)
}

func (r mutationResolver) CreateUser(ctx context.Context, input directory.CreateUserInput) (*model.UserPayload, error) {
	create := r.Directory.CreateUser
	if input.Password != nil {
		create = r.signIn.CreateUserWithPassword
	}
	return r.payload(ctx).user(create(ctx, input))
}

func (r mutationResolver) UpdateUser(ctx context.Context, input directory.UpdateUserInput) (*model.UserPayload, error) {
	return r.payload(ctx).user(r.Directory.UpdateUser(ctx, input))
}

func (r mutationResolver) SuspendUser(ctx context.Context, input directory.UserActionInput) (*model.UserPayload, error) {
	return r.payload(ctx).user(r.Directory.SuspendUser(ctx, input))
}

func (r mutationResolver) RestoreUser(ctx context.Context, input directory.UserActionInput) (*model.UserPayload, error) {
	return r.payload(ctx).user(r.Directory.RestoreUser(ctx, input))
}

func (r mutationResolver) OffboardUser(ctx context.Context, input directory.OffboardUserInput) (*model.UserPayload, error) {
	return r.payload(ctx).user(r.Directory.OffboardUser(ctx, input))
}

func (r mutationResolver) DeleteUser(ctx context.Context, input directory.UserActionInput) (*model.DeletePayload, error) {
	return r.payload(ctx).deleted(r.Directory.DeleteUser(ctx, input))
}
