package signin

import (
	"context"
	"slices"

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
		return s.Directory.ActOnUser(ctx, access.UsersWrite, *ref, "input.user", fn)
	}
	return s.Directory.ActOnOneself(ctx, fn)
}

// unlink takes the identity of that id from the user, who is locked.
func (s *Service) unlink(ctx context.Context, w *changes.Write, user *db.User, id string) error {
	const field = "input.identity"
	all, err := db.Select[db.Identity](ctx, s.Database, "select * from identities where user_id = $1", user.ID)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(i db.Identity) bool { return i.ID.String() == id })
	if at < 0 {
		return problem.At(problem.NotFound, field, "There is no such identity.")
	}
	ways, err := s.waysIn(ctx, user, all)
	if err != nil {
		return err
	}
	if ways[at] && !slices.Contains(slices.Delete(slices.Clone(ways), at, at+1), true) {
		return problem.At(problem.Invalid, field, "It is the last way in.")
	}
	if all[at].Provider == db.PasswordProvider {
		if _, err := w.NewDelete().Table("passwords").Where("user_id = ?", user.ID).Exec(ctx); err != nil {
			return err
		}
	}
	if _, err := w.NewDelete().Model(&all[at]).WherePK().Exec(ctx); err != nil {
		return err
	}
	return w.Record(changes.UserIdentityUnlinked, user.ID.String(), nil, changes.Values{"provider": all[at].Provider}, nil)
}

// waysIn returns which of the identities of the user let them in as things are, and, as the
// last one, whether a code by mail does.
func (s *Service) waysIn(ctx context.Context, user *db.User, all []db.Identity) ([]bool, error) {
	settings, err := s.Directory.SignInSettings(ctx)
	if err != nil {
		return nil, err
	}
	var providers []db.ProviderID
	for _, one := range all {
		if one.ProviderID != nil {
			providers = append(providers, *one.ProviderID)
		}
	}
	usable, err := s.Directory.UsableProviders(ctx, providers)
	ways := make([]bool, len(all)+1)
	for i, one := range all {
		if one.Provider == db.PasswordProvider {
			ways[i] = settings.AllowPasswordSignIn
		} else {
			ways[i] = one.ProviderID != nil && slices.Contains(usable, *one.ProviderID)
		}
	}
	ways[len(all)] = settings.AllowCodeSignIn && user.Email != nil && s.Outbox.Configured()
	return ways, err
}
