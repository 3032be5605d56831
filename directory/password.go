package directory

import (
	"context"

	"roster/credential"
	"roster/db"
	"roster/problem"
)

// StorePassword stores the hash of a user's password in the place of the one before, and
// that the user signs in by it. It leaves no record: what it belongs to does.
func (d *Directory) StorePassword(ctx context.Context, password *db.Password) error {
	return d.storePasswords(ctx, "do update set hash = excluded.hash, temporary = excluded.temporary, changed_at = excluded.changed_at", []*db.Password{password})
}

// addPasswords is StorePassword for many users, of whom those who have a password keep it.
func (d *Directory) addPasswords(ctx context.Context, passwords []*db.Password) error {
	return d.storePasswords(ctx, "do nothing", passwords)
}

// storePasswords inserts the passwords of different users, and does what onConflict says for
// users who have one.
func (d *Directory) storePasswords(ctx context.Context, onConflict string, passwords []*db.Password) error {
	if len(passwords) == 0 {
		return nil
	}
	if _, err := d.Writer.Unrecorded(ctx).NewInsert().Model(&passwords).On("conflict (user_id) " + onConflict).Exec(ctx); err != nil {
		return err
	}
	identities := make([]*db.Identity, len(passwords))
	for i, p := range passwords {
		identities[i] = &db.Identity{ID: db.NewID[db.IdentityKind](), Provider: db.PasswordProvider, Subject: p.UserID.String(), UserID: p.UserID, CreatedAt: p.ChangedAt}
	}
	_, err := d.Writer.Unrecorded(ctx).NewInsert().Model(&identities).On("conflict do nothing").Exec(ctx)
	return err
}

// passwordHash checks the hash of a password that another program has made.
func (f *faults) passwordHash(field string, hash *string) {
	if hash == nil {
		return
	}
	if err := credential.CheckHash(*hash); err != nil {
		f.Add(problem.Invalid, field, "The password hash is %v.", err)
	}
}
