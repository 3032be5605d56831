package signin

import (
	"context"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/directory"
	"roster/problem"
)

// These are the inputs of mutations that take one thing.
type (
	// SwitchOrganizationInput names the organization to switch to.
	SwitchOrganizationInput struct{ Organization directory.OrganizationRef }
	// SignOutInput says whether all sessions of the person are to end.
	SignOutInput struct{ Everywhere bool }
	// EndSessionInput names a session by its id.
	EndSessionInput struct{ Session string }
	// RequestPasswordResetInput names an account by its address.
	RequestPasswordResetInput struct{ Email string }
	// RequestEmailChangeInput has the new address.
	RequestEmailChangeInput struct{ Email string }
)

// SignOut ends the session of the request or, if it is to be everywhere, all sessions of
// the person. It returns how many it has ended.
func (s *Service) SignOut(ctx context.Context, everywhere bool) (int, error) {
	actor, err := access.RequireSession(ctx)
	if err != nil {
		return 0, err
	}
	visitOf(ctx).Ended = true
	if everywhere {
		return s.endSessionsOf(ctx, *actor.User, nil)
	}
	return s.endSessionsWhere(ctx, *actor.User, "id = ?", actor.Session.ID)
}

// EndSession ends a session: one's own or, with roster:sessions:write, that of somebody
// whom the actor outranks.
func (s *Service) EndSession(ctx context.Context, id string) (int, error) {
	errNone := problem.At(problem.NotFound, "input.session", "There is no such session.")
	session, err := db.ParseID[db.SessionKind](id)
	if err != nil {
		return 0, errNone
	}
	owner, err := db.SelectOne[db.UserID](ctx, s.Database, "select user_id from sessions where id = $1", session)
	if err != nil {
		return 0, err
	}
	if owner != nil && access.ActorOf(ctx).Is(*owner) {
		return s.endSessionsWhere(ctx, *owner, "id = ?", session)
	}
	if err := access.Require(ctx, access.SessionsWrite); err != nil {
		return 0, err
	}
	if owner == nil {
		return 0, errNone
	}
	var ended int
	err = s.Directory.ActOnUser(ctx, access.SessionsWrite, directory.UserRef{ID: new(owner.String())}, "input.session", func(ctx context.Context, _ *changes.Write, _ *db.User) (err error) {
		ended, err = s.endSessionsWhere(ctx, *owner, "id = ?", session)
		return err
	})
	return ended, err
}

// endSessionsOf is directory.EndAllSessions in a write of its own.
func (s *Service) endSessionsOf(ctx context.Context, user db.UserID, but *db.SessionID) (ended int, err error) {
	err = s.Directory.Writer.Write(ctx, actorText(ctx, user), func(ctx context.Context, w *changes.Write) (err error) {
		ended, err = directory.EndAllSessions(ctx, w, user, but)
		return err
	})
	return ended, err
}

// endSessionsWhere is directory.EndSessions in a write of its own.
func (s *Service) endSessionsWhere(ctx context.Context, user db.UserID, condition string, arg any) (ended int, err error) {
	err = s.Directory.Writer.Write(ctx, actorText(ctx, user), func(ctx context.Context, w *changes.Write) (err error) {
		ended, err = directory.EndSessions(ctx, w, user, condition, arg)
		return err
	})
	return ended, err
}

// SwitchOrganization makes the organization the one that the session of the request
// remembers. It returns NOT_FOUND if the person may not act there.
func (s *Service) SwitchOrganization(ctx context.Context, ref directory.OrganizationRef) (*db.Session, error) {
	actor, err := access.RequireSession(ctx)
	if err != nil {
		return nil, err
	}
	org, err := s.Directory.OrganizationID(ctx, ref)
	if err != nil {
		return nil, err
	}
	session := *actor.Session
	return &session, s.switchTo(ctx, actor, &session, org)
}

// switchTo makes the organization the one that the session of the actor remembers. It
// returns NOT_FOUND if the person may not act there.
func (s *Service) switchTo(ctx context.Context, actor *access.Actor, session *db.Session, org db.OrganizationID) error {
	return s.Directory.Writer.Write(ctx, actor.String(), func(ctx context.Context, w *changes.Write) error {
		person, err := s.person(ctx, *actor.User)
		switch {
		case err != nil:
			return err
		case person == nil || person.choose(&org, false) == nil:
			return problem.At(problem.NotFound, "input.organization", "You belong to no such organization.")
		}
		before := session.OrgID
		session.OrgID = &org
		if _, err := w.NewUpdate().Model(session).Column("org_id").WherePK().Exec(ctx); err != nil {
			return err
		}
		if _, err := w.NewUpdate().Table("users").Set("last_org_id = ?", org).Where("id = ?", *actor.User).Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.UserSwitched, actor.User.String(), nil, changes.Values{"organizationId": before}, changes.Values{"organizationId": org})
	})
}
