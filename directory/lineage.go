package directory

import (
	"context"
	"slices"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
)

// Each API key has a key or a person that answers for it, at first whoever made it, and
// works only as long as that one does; the business itself answers for keys of the set-up.
// What descends from a key is revoked with it. See credential.Working and decision 0010.

// maxLine is the most keys that answer for one another, each for the next one. A key
// whose line is longer would be slow to look up.
const maxLine = 32

// lockResponsible returns the key that answers for what the actor makes or adopts, and
// keeps it from being revoked until the end of the transaction. It returns nil for the
// business, which answers for what the server and the administrator's key make. It
// returns nil, too, for a person, who answers for it as long as they are active: what they
// make is looked at again before the commit. It returns UNAUTHENTICATED if the key was
// revoked in the meantime.
func (d *Directory) lockResponsible(ctx context.Context, w *write) (*db.APIKeyID, error) {
	if w.actor.Key == nil || w.actor.Key.CreatedBy == access.System(setupActor).String() {
		return nil, nil
	}
	id, err := db.SelectOne[db.APIKeyID](ctx, d.db, "select id from api_keys where id = $1 and revoked_at is null for share", w.actor.Key.ID)
	if err == nil && id == nil {
		return nil, errUnknownKey()
	}
	return id, err
}

// lineSQL returns the keys that answer for the key $1, it among them.
const lineSQL = `
with recursive line as (select id, responsible_id from api_keys where id = $1
	union select k.id, k.responsible_id from line join api_keys k on k.id = line.responsible_id)
select id from line`

// generationsSQL returns how many keys answer for one another at most, from the key $1
// down.
const generationsSQL = `
with recursive down as (select $1::uuid as id, 1 as generation
	union select k.id, generation + 1 from down join api_keys k on k.responsible_id = down.id)
select max(generation) from down`

// answerFor sets the key that answers for the key, and checks that the line of keys
// neither gets too long nor leads back to the key; generations is how many there are
// from the key down, and field is the input that names the key.
func (d *Directory) answerFor(ctx context.Context, w *write, key *db.APIKey, generations int, field string) error {
	responsible, err := d.lockResponsible(ctx, w)
	if err != nil {
		return err
	}
	key.ResponsibleID, key.ResponsibleUserID = responsible, nil
	if w.actor.Session != nil {
		key.ResponsibleUserID = w.actor.User
	}
	if responsible == nil {
		return nil
	}
	line, err := db.Select[db.APIKeyID](ctx, d.db, lineSQL, *responsible)
	switch {
	case err != nil:
		return err
	case slices.Contains(line, key.ID):
		w.faults.Add(problem.Invalid, field, "It answers for the key that you use, so that cannot answer for it in turn.")
	case len(line)+generations > maxLine:
		w.faults.Add(problem.Invalid, "input", "At most %d keys answer for one another in a line: let an administrator adopt one of them.", maxLine)
	}
	return nil
}

// adoptionsLock is the number of the advisory lock that makes adoptions take turns: two
// at the same moment could let keys answer for one another in a circle. The number only
// has to differ from other locks'.
const adoptionsLock = 0x726f7374656c // "rostel"

// AdoptAPIKey lets the actor answer for an API key that it manages and whose permissions
// it may hand out: the key works as long as the actor's key does, whatever happens to
// who made it.
func (d *Directory) AdoptAPIKey(ctx context.Context, in APIKeyActionInput) (*db.APIKey, error) {
	return d.changeKey(ctx, in, func(ctx context.Context, w *write, key *db.APIKey) error {
		if key.RevokedAt != nil {
			w.faults.Add(problem.Invalid, "input.apiKey", "The key was revoked, and never works again.")
			return nil
		}
		if err := d.mayAdopt(ctx, w, key); err != nil {
			return err
		}
		before := *key
		if err := d.answerAgain(ctx, w, key, "input.apiKey"); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil || sameResponsible(&before, key) {
			return err
		}
		if _, err := w.NewUpdate().Model(key).Column("responsible_id", "responsible_user_id").WherePK().Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.APIKeyAdopted, key.ID.String(), key.OrgID, &before, key)
	})
}

// answerAgain is answerFor for a key that there is already. What descends from the key works
// as long as whoever answers for it from now on, also what has stopped: so the actor must
// outrank those for whom it stands, and be allowed to hand out all that it may do.
func (d *Directory) answerAgain(ctx context.Context, w *write, key *db.APIKey, field string) error {
	if _, err := w.NewRaw("select pg_advisory_xact_lock(?)", adoptionsLock).Exec(ctx); err != nil {
		return err
	}
	generations, err := db.SelectOne[int](ctx, d.db, generationsSQL, key.ID)
	if err != nil {
		return err
	}
	before := *key
	if err := d.answerFor(ctx, w, key, *generations, field); err != nil || *generations == 1 || sameResponsible(&before, key) {
		return err
	}
	if err := d.outrankKey(ctx, w, key, field); err != nil {
		return err
	}
	return d.mayRestore(ctx, w, access.KeysWrite, suspension{grants: "false", keys: "false", alsoKeys: "g.responsible_id = $1"}, key.ID)
}

// sameResponsible reports whether the same key or person answers for both keys.
func sameResponsible(a, b *db.APIKey) bool {
	return equal(a.ResponsibleID, b.ResponsibleID) && equal(a.ResponsibleUserID, b.ResponsibleUserID)
}

// keyPermissionsText selects what the key $1 may do.
const keyPermissionsText = `select p.* from api_key_permissions kp join permissions p on p.id = kp.permission_id
	where kp.api_key_id = $1 and p.deleted_at is null order by p.key`

// mayAdopt checks that the actor may hand out all that the key holds.
func (d *Directory) mayAdopt(ctx context.Context, w *write, key *db.APIKey) error {
	permissions, err := pointers(db.Select[db.Permission](ctx, d.db, keyPermissionsText, key.ID))
	if err != nil {
		return err
	}
	_, err = d.allowCredential(ctx, w, key, key.UserID != nil, permissions)
	return err
}

// descendingText selects the keys k that the condition selects and that are not revoked,
// with what descends from them, and locks them in the order of their ids.
func descendingText(condition string) string {
	return `with recursive down as (select k.id from api_keys k where k.revoked_at is null and (` + condition + `)
		union select k.id from down join api_keys k on k.responsible_id = down.id and k.revoked_at is null)
	select k.* from api_keys k where k.id in (select id from down) and k.revoked_at is null order by k.id for no key update of k`
}

// lockDescending returns the keys of descendingText, locked. Making a key locks the one
// that answers for it, so a key that was made while this waited for locks is found by the
// next look.
func (w *write) lockDescending(ctx context.Context, condition string, args ...any) ([]*db.APIKey, error) {
	for known := 0; ; {
		var keys []*db.APIKey
		if err := w.NewRaw(descendingText(condition), args...).Scan(ctx, &keys); err != nil || len(keys) == known {
			return keys, err
		}
		known = len(keys)
	}
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
