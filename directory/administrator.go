package directory

import (
	"context"
	"slices"
	"strings"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/problem"
	"roster/secret"
)

// The administrator's key is found by these names.
const (
	administratorKeyName = "Administrator"
	setupActor           = "setup"
)

// EnsureAdministratorKey makes chosen the secret of the administrator's key, an API
// key with all system permissions, and adds permissions that a new version has
// brought. It revokes an administrator's key with another secret. It runs at each
// start, after Setup, and writes nothing if nothing has changed.
//
// It returns INVALID if chosen is too weak for a secret, and CONFLICT if another
// API key has it, or a revoked one: a revoked key never works again.
func (d *Directory) EnsureAdministratorKey(ctx context.Context, chosen secret.Text) error {
	if err := credential.Check(chosen); err != nil {
		return err
	}
	ctx = access.WithActor(ctx, access.System(setupActor))
	return d.change(ctx, access.KeysWrite, func(ctx context.Context, w *write) error {
		if err := d.takeTurn(ctx); err != nil {
			return err
		}
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

// completeKey adds the permissions that the key lacks.
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
	_, err := w.revokeKeys(ctx, "k.name = ? and k.created_by = ? and k.org_id is null and k.id <> ?", administratorKeyName, w.actor.String(), present.ID)
	return err
}

// HasAdministratorKey reports whether EnsureAdministratorKey has made a key that
// still works.
func (d *Directory) HasAdministratorKey(ctx context.Context) (bool, error) {
	keys, err := db.Select[int](ctx, d.db,
		"select 1 from api_keys where name = $1 and created_by = $2 and revoked_at is null limit 1",
		administratorKeyName, access.System(setupActor).String())
	return len(keys) > 0, err
}

// HasOtherAdministrator reports whether the key was revoked and somebody else can
// administer the business: then the server does without it.
func (d *Directory) HasOtherAdministrator(ctx context.Context, revoked secret.Text) (bool, error) {
	other, err := db.Select[bool](ctx, d.db, "select exists (select from api_keys where hash = $1 and revoked_at is not null) and ("+
		strings.ReplaceAll(administratorText, "?0", "$2")+")", credential.Hash(revoked), db.Root)
	return err == nil && other[0], err
}

// administratorsLock is the number of the advisory lock that a write takes which may
// have ended an administrator, before it looks whether one is left. The number only
// has to differ from other locks'.
const administratorsLock = 0x726f73746561 // "rostea"

// administratorText selects whether there is an API key that can administer the
// business, and is no application's, whose tokens may be for others: it works everywhere and for good, and holds all permissions of Roster; if it
// stands for a user, the user holds them in the root as well.
var administratorText = `
select exists (select from ` + credential.Working("api_keys", "organizations", "users", credential.SuspendedMembers) + ` and k.org_id is null and not k.is_application and line.ends_at is null
	and not exists (select from permissions p where p.is_system and p.deleted_at is null and not exists (
		select from api_key_permissions kp where kp.api_key_id = k.id and kp.permission_id = p.id))
	and (k.user_id is null
		or not exists (select from permissions p where p.is_system and p.deleted_at is null
			and not exists (select from membership_permissions g
				where g.org_id = ?0 and g.user_id = k.user_id and g.permission_id = p.id and g.ends_at is null and ` + access.ActiveSQL + `)
			and not exists (select from membership_roles g join role_permissions rp on rp.role_id = g.role_id and rp.revoked_at is null
				where g.org_id = ?0 and g.user_id = k.user_id and rp.permission_id = p.id and g.ends_at is null and ` + access.ActiveSQL + `))))`

// keepAdministrator returns LAST_ADMINISTRATOR if the write has left nobody who can
// administer the business. Writes that may do so take turns until they commit, so
// that no two of them rely on the administrator whom the other ends.
func keepAdministrator(ctx context.Context, w *changes.Write) error {
	actor := access.ActorOf(ctx) // nil of who sets a password anew
	if actor != nil && actor.System != "" || !slices.ContainsFunc(w.Changes(), mayEndAdministrator) {
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
// The log has every change that could have done so.
func mayEndAdministrator(c db.Change) bool {
	return changes.ActionByName(c.Action).Effects().Administrator && (c.OrgID == nil || *c.OrgID == db.Root)
}
