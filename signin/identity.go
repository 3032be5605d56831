package signin

import (
	"context"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/directory"
	"roster/problem"
)

// UnlinkIdentityInput names an identity of a user; nil means the person who is signed in.
type UnlinkIdentityInput struct {
	User     *directory.UserRef
	Identity string
}

// UnlinkIdentity takes away a way in: one's own or, with roster:users:write, that of
// somebody whom the actor outranks. It returns INVALID for the last way in.
func (s *Service) UnlinkIdentity(ctx context.Context, in UnlinkIdentityInput) (*db.User, error) {
	var user *db.User
	err := s.onUser(ctx, in.User, func(ctx context.Context, w *changes.Write, on *db.User) error {
		user = on
		return s.unlink(ctx, w, on, in.Identity)
	})
	return user, err
}

// onUser runs fn in a write on the user, or else on the person who is signed in.
func (s *Service) onUser(ctx context.Context, ref *directory.UserRef, fn func(ctx context.Context, w *changes.Write, user *db.User) error) error {
	if ref != nil {
		return s.Directory.ActOnUser(ctx, access.UsersWrite, *ref, fn)
	}
	return s.Directory.ActOnOneself(ctx, fn)
}

func (s *Service) unlink(ctx context.Context, w *changes.Write, user *db.User, id string) error {
	return problem.At(problem.Invalid, "input.identity", "")
}
