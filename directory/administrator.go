package directory

import (
	"context"
	"slices"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/problem"
	"roster/secret"
)

// The names by which the administrator's key is known again.
const (
	administratorKeyName = "Administrator"
	setupActor           = "setup"
)

// EnsureAdministratorKey makes chosen that of the business's administrator: of
// an API key with all system permissions, to which it adds those that a new
// version has brought. The key that was the administrator's before, with another
// secret, is revoked. It runs at each start, after Setup; where nothing is to be
// done, it writes nothing.
//
// It fails with INVALID for what cannot be a secret, and with CONFLICT when the
// secret is that of another API key, or of one that was revoked: a revoked key
// never works again.
func (d *Directory) EnsureAdministratorKey(ctx context.Context, chosen secret.Text) error {
	if err := credential.Check(chosen); err != nil {
		return err
	}
	ctx = access.WithActor(ctx, access.System(setupActor))
	return d.change(ctx, access.KeysWrite, func(ctx context.Context, w *write) error {
		// Locked, also so that servers which start at the same moment take turns.
		permissions, err := pointers(db.Select[db.Permission](ctx, d.db,
			"select * from permissions where is_system and deleted_at is null order by key for no key update"))
		if err != nil {
			return err
		}
		key, err := db.SelectOne[db.APIKey](ctx, d.db, "select * from api_keys where hash = $1 for no key update", credential.Hash(chosen))
		switch {
		case err != nil:
			return err
		case key == nil:
			key = w.newKey(administratorKeyName, chosen, nil)
			err = w.insertKey(ctx, key, permissions, access.AllowSetup())
		case key.RevokedAt != nil:
			return problem.New(problem.Conflict, "The key %s… was revoked, and a revoked key never works again: choose another one.", key.Prefix)
		case key.Name != administratorKeyName || key.CreatedBy != w.actor.String():
			return problem.New(problem.Conflict, "The key %s… is another one than the administrator's: choose another one.", key.Prefix)
		default:
			err = d.completeKey(ctx, w, key, permissions)
		}
		if err != nil {
			return err
		}
		return d.revokeFormerAdministrators(ctx, w, key)
	})
}

// completeKey gives the key those of the permissions that it lacks.
func (d *Directory) completeKey(ctx context.Context, w *write, key *db.APIKey, permissions []*db.Permission) error {
	has, err := db.Select[db.PermissionID](ctx, d.db, "select permission_id from api_key_permissions where api_key_id = $1", key.ID)
	if err != nil {
		return err
	}
	lacking := slices.DeleteFunc(permissions, func(p *db.Permission) bool { return slices.Contains(has, p.ID) })
	if len(lacking) == 0 {
		return nil
	}
	if err := w.insertKeyPermissions(ctx, key, lacking, access.AllowSetup()); err != nil {
		return err
	}
	return w.Record(changes.APIKeyPermissionsAdded, key.ID.String(), nil, nil, contentValues(lacking))
}

func (d *Directory) revokeFormerAdministrators(ctx context.Context, w *write, present *db.APIKey) error {
	return w.revokeKeys(ctx, "k.name = ? and k.created_by = ? and k.org_id is null and k.id <> ?", administratorKeyName, w.actor.String(), present.ID)
}

// HasAdministratorKey tells whether EnsureAdministratorKey has made a key that
// still works.
func (d *Directory) HasAdministratorKey(ctx context.Context) (bool, error) {
	keys, err := db.Select[int](ctx, d.db,
		"select 1 from api_keys where name = $1 and created_by = $2 and revoked_at is null limit 1",
		administratorKeyName, access.System(setupActor).String())
	return len(keys) > 0, err
}

// administratorsLock is the number of the advisory lock under which whoever may
// have ended an administrator looks whether one is left; it only has to differ
// from those of others.
const administratorsLock = 0x726f73746561 // "rostea"

// administratorText tells whether there is an API key that can administer the
// business: it works everywhere, for as long as nobody revokes it, and holds all
// permissions of Roster; so does, if it stands for one, its user in the root.
const administratorText = `
select exists (select from api_keys k where k.org_id is null and k.revoked_at is null and k.expires_at is null
	and not exists (select from permissions p where p.is_system and p.deleted_at is null and not exists (
		select from api_key_permissions kp where kp.api_key_id = k.id and kp.permission_id = p.id))
	and (k.user_id is null
		or exists (select from users u where u.id = k.user_id and u.status = 'ACTIVE')
		and not exists (select from permissions p where p.is_system and p.deleted_at is null
			and not exists (select from membership_permissions g
				where g.org_id = ?0 and g.user_id = k.user_id and g.permission_id = p.id and g.ends_at is null and ` + access.ActiveSQL + `)
			and not exists (select from membership_roles g join role_permissions rp on rp.role_id = g.role_id and rp.revoked_at is null
				where g.org_id = ?0 and g.user_id = k.user_id and rp.permission_id = p.id and g.ends_at is null and ` + access.ActiveSQL + `))))`

// keepAdministrator fails with LAST_ADMINISTRATOR if the write has left nobody
// who can administer the business. Those who may do that take turns, until they
// commit: no two of them each leave it to the administrator whom the other ends.
func keepAdministrator(ctx context.Context, w *changes.Write) error {
	if access.ActorOf(ctx).System != "" || !slices.ContainsFunc(w.Changes(), mayEndAdministrator) {
		return nil
	}
	if _, err := w.NewRaw("select pg_advisory_xact_lock(?)", administratorsLock).Exec(ctx); err != nil {
		return err
	}
	var left bool
	if err := w.NewRaw(administratorText, db.Root).Scan(ctx, &left); err != nil || left {
		return err
	}
	return problem.At(problem.LastAdministrator, "input", "Nobody could administer the business any more.")
}

// mayEndAdministrator reports whether the change may have ended an administrator.
// The log has everything that could have done it.
func mayEndAdministrator(c db.Change) bool {
	return changes.ActionByName(c.Action).Effects().Administrator && (c.OrgID == nil || *c.OrgID == db.Root)
}
