package graph

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/graph/model"
	"roster/signin"
)

func (r mutationResolver) SignUp(ctx context.Context, input signin.SignUpInput) (*model.SignInPayload, error) {
	return signInPayload(r.signIn.SignUp(ctx, input))
}

func (r mutationResolver) SignIn(ctx context.Context, input signin.SignInInput) (*model.SignInPayload, error) {
	return signInPayload(r.signIn.SignIn(ctx, input))
}

func (r mutationResolver) ContinueSignIn(ctx context.Context, input signin.ContinueSignInInput) (*model.SignInPayload, error) {
	return signInPayload(r.signIn.Continue(ctx, input))
}

func signInPayload(result *signin.Result, err error) (*model.SignInPayload, error) {
	switch {
	case err != nil:
		return nil, err
	case result.Step != nil:
		return &model.SignInPayload{Result: stepOf(result.Step)}, nil
	}
	payload := &model.SignInPayload{Result: result.Session}
	if !result.Secret.Empty() {
		payload.Secret = new(result.Secret.Reveal())
	}
	return payload, nil
}

func stepOf(step *signin.Step) *model.SignInStep {
	return &model.SignInStep{Ticket: step.Ticket, Next: model.SignInNext(step.Next), ExpiresAt: step.ExpiresAt, Choices: step.Choices}
}

func (r signInStepResolver) Organizations(ctx context.Context, steps []*model.SignInStep) ([][]*db.Organization, error) {
	return r.organizationsEach(ctx, mapSlice(steps, func(s *model.SignInStep) []db.OrganizationID { return s.Choices }))
}

// organizationsEach returns the organizations with the ids of each list.
func (r *resolver) organizationsEach(ctx context.Context, lists [][]db.OrganizationID) ([][]*db.Organization, error) {
	var ids []db.OrganizationID
	for _, list := range lists {
		ids = append(ids, list...)
	}
	found, err := r.loaders.Organizations(ctx, ids, selected(ctx))
	if err != nil {
		return nil, err
	}
	all := make([][]*db.Organization, len(lists))
	for i, list := range lists {
		all[i], found = found[:len(list)], found[len(list):]
	}
	return all, nil
}

func (r mutationResolver) SwitchOrganization(ctx context.Context, input signin.SwitchOrganizationInput) (*model.SessionPayload, error) {
	session, err := r.signIn.SwitchOrganization(ctx, input.Organization)
	return &model.SessionPayload{Session: session}, err
}

func (r mutationResolver) SignOut(ctx context.Context, input *signin.SignOutInput) (*model.SignOutPayload, error) {
	n, err := r.signIn.SignOut(ctx, input != nil && input.Everywhere)
	return &model.SignOutPayload{EndedSessions: n}, err
}

func (r mutationResolver) EndSession(ctx context.Context, input signin.EndSessionInput) (*model.SignOutPayload, error) {
	n, err := r.signIn.EndSession(ctx, input.Session)
	return &model.SignOutPayload{EndedSessions: n}, err
}

func (r mutationResolver) AccessToken(ctx context.Context, input signin.AccessTokenInput) (*model.AccessTokenPayload, error) {
	token, err := r.signIn.AccessToken(ctx, input)
	if err != nil {
		return nil, err
	}
	return &model.AccessTokenPayload{AccessToken: &model.AccessToken{Token: token.Token.Reveal(), ExpiresAt: token.ExpiresAt, In: token.Organization}}, nil
}

func (r accessTokenResolver) Organization(ctx context.Context, tokens []*model.AccessToken) ([]*db.Organization, error) {
	return r.loaders.Organizations(ctx, mapSlice(tokens, func(t *model.AccessToken) db.OrganizationID { return t.In }), selected(ctx))
}

func (r mutationResolver) RequestPasswordReset(ctx context.Context, input signin.RequestPasswordResetInput) (*model.SignInStepPayload, error) {
	return stepPayload(r.signIn.RequestPasswordReset(ctx, input.Email))
}

func (r mutationResolver) RequestEmailChange(ctx context.Context, input signin.RequestEmailChangeInput) (*model.SignInStepPayload, error) {
	return stepPayload(r.signIn.RequestEmailChange(ctx, input.Email))
}

func stepPayload(step *signin.Step, err error) (*model.SignInStepPayload, error) {
	if err != nil {
		return nil, err
	}
	return &model.SignInStepPayload{Step: stepOf(step)}, nil
}

func (r mutationResolver) ResetPassword(ctx context.Context, input signin.ResetPasswordInput) (*model.AcceptedPayload, error) {
	return &model.AcceptedPayload{Accepted: true}, r.signIn.ResetPassword(ctx, input)
}

func (r mutationResolver) ChangePassword(ctx context.Context, input signin.ChangePasswordInput) (*model.AcceptedPayload, error) {
	return &model.AcceptedPayload{Accepted: true}, r.signIn.ChangePassword(ctx, input)
}

func (r mutationResolver) SetTemporaryPassword(ctx context.Context, input signin.SetTemporaryPasswordInput) (*model.UserPayload, error) {
	return r.payload(ctx).user(r.signIn.SetTemporaryPassword(ctx, input))
}

func (r mutationResolver) UpdateViewer(ctx context.Context, input directory.UpdateViewerInput) (*model.UserPayload, error) {
	return r.payload(ctx).user(r.Directory.UpdateViewer(ctx, input))
}

func (r mutationResolver) ConfirmEmailChange(ctx context.Context, input signin.ConfirmEmailChangeInput) (*model.UserPayload, error) {
	return r.payload(ctx).user(r.signIn.ConfirmEmailChange(ctx, input))
}

func (r mutationResolver) LeaveOrganization(ctx context.Context, input directory.LeaveOrganizationInput) (*model.DeletePayload, error) {
	return r.payload(ctx).deleted(r.Directory.LeaveOrganization(ctx, input))
}

func (r mutationResolver) UnlinkIdentity(ctx context.Context, input signin.UnlinkIdentityInput) (*model.UserPayload, error) {
	return r.payload(ctx).user(r.signIn.UnlinkIdentity(ctx, input))
}

func (r sessionResolver) User(ctx context.Context, sessions []*db.Session) ([]*db.User, error) {
	return r.loaders.Users(ctx, mapSlice(sessions, func(s *db.Session) db.UserID { return s.UserID }), selected(ctx))
}

func (r sessionResolver) Organization(ctx context.Context, sessions []*db.Session) ([]*db.Organization, error) {
	ids, err := r.OrganizationsOfSessions(ctx, sessions)
	if err != nil {
		return nil, err
	}
	return r.loaders.Organizations(ctx, ids, selected(ctx))
}

func (r sessionResolver) Current(ctx context.Context, sessions []*db.Session) ([]bool, error) {
	own := access.ActorOf(ctx).Session
	return mapSlice(sessions, func(s *db.Session) bool { return own != nil && own.ID == s.ID }), nil
}

func (r signInResolver) User(ctx context.Context, attempts []*db.SignIn) ([]*db.User, error) {
	return r.loaders.Users(ctx, mapSlice(attempts, func(s *db.SignIn) db.UserID { return orZero(s.UserID) }), selected(ctx))
}

func (r signInResolver) Organization(ctx context.Context, attempts []*db.SignIn) ([]*db.Organization, error) {
	return r.loaders.Organizations(ctx, mapSlice(attempts, func(s *db.SignIn) db.OrganizationID { return orZero(s.OrgID) }), selected(ctx))
}

func (r signInResolver) Reason(_ context.Context, attempts []*db.SignIn) ([]*model.ErrorCode, error) {
	return mapSlice(attempts, func(s *db.SignIn) *model.ErrorCode { return (*model.ErrorCode)(s.Reason) }), nil
}

func (r queryResolver) SignIns(ctx context.Context, first *int, after *string, last *int, before *string) (*model.SignInConnection, error) {
	return r.signIn.SignIns(ctx, page(first, after, last, before))
}

func (r userResolver) Sessions(ctx context.Context, users []*db.User, first *int, after *string, last *int, before *string) ([]*model.SessionConnection, error) {
	return r.signIn.Sessions(ctx, mapSlice(users, userID), page(first, after, last, before))
}

func (r userResolver) SignIns(ctx context.Context, users []*db.User, first *int, after *string, last *int, before *string) ([]*model.SignInConnection, error) {
	return r.signIn.SignInsOf(ctx, mapSlice(users, userID), page(first, after, last, before))
}
