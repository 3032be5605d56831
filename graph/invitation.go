package graph

import (
	"context"

	"roster/db"
	"roster/directory"
	"roster/graph/model"
	"roster/signin"
)

func (r queryResolver) Invitation(ctx context.Context, id string) (*db.Invitation, error) {
	return r.Directory.Invitation(ctx, id)
}

func (r queryResolver) Invitations(ctx context.Context, first *int, after *string, last *int, before *string, status *db.InvitationStatus) (*model.InvitationConnection, error) {
	return r.Directory.Invitations(ctx, page(first, after, last, before), status)
}

func (r organizationResolver) Invitations(ctx context.Context, orgs []*db.Organization, first *int, after *string, last *int, before *string, status *db.InvitationStatus) ([]*model.InvitationConnection, error) {
	return r.OrganizationInvitations(ctx, mapSlice(orgs, organizationID), page(first, after, last, before), status)
}

func (r invitationResolver) Organization(ctx context.Context, invitations []*db.Invitation) ([]*db.Organization, error) {
	return r.loaders.Organizations(ctx, mapSlice(invitations, func(i *db.Invitation) db.OrganizationID { return i.OrgID }), selected(ctx))
}

func (r invitationResolver) Roles(ctx context.Context, invitations []*db.Invitation) ([][]*db.Role, error) {
	return r.InvitationRoles(ctx, invitations)
}

func (r invitationResolver) Status(_ context.Context, invitations []*db.Invitation) ([]db.InvitationStatus, error) {
	return r.InvitationStatuses(invitations), nil
}

func (r invitationResolver) InvitedBy(ctx context.Context, invitations []*db.Invitation) ([]model.Actor, error) {
	return r.actors(ctx, mapSlice(invitations, func(i *db.Invitation) string { return i.InvitedBy }))
}

func (r mutationResolver) Invite(ctx context.Context, input directory.InviteInput) (*model.InvitationPayload, error) {
	return invitationPayload(r.signIn.Invite(ctx, input))
}

func (r mutationResolver) ResendInvitation(ctx context.Context, input directory.InvitationActionInput) (*model.InvitationPayload, error) {
	return invitationPayload(r.signIn.ResendInvitation(ctx, input))
}

func (r mutationResolver) RevokeInvitation(ctx context.Context, input directory.InvitationActionInput) (*model.InvitationPayload, error) {
	invitation, err := r.Directory.RevokeInvitation(ctx, input)
	return &model.InvitationPayload{Invitation: invitation}, err
}

func invitationPayload(d signin.Delivered, err error) (*model.InvitationPayload, error) {
	payload := &model.InvitationPayload{Invitation: d.Invitation}
	if !d.Link.Empty() {
		payload.Link = new(d.Link.Reveal())
	}
	return payload, err
}

func (r mutationResolver) AcceptInvitation(ctx context.Context, input signin.AcceptInvitationInput) (*model.SignInPayload, error) {
	return signInPayload(r.signIn.AcceptInvitation(ctx, input))
}
