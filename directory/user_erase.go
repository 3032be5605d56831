package directory

import (
	"context"

	"github.com/uptrace/bun/dialect/pgdialect"

	"roster/changes"
	"roster/db"
	"roster/idempotency"
)

// erasedKeyName replaces the name of an API key that stood for a deleted user.
const erasedKeyName = "Key of a deleted user"

// eraseWords removes what others have written about a user, who is locked, also
// from the log of changes: the reasons of their grants and removals, and the names of API
// keys that stood for them. Answers that are kept for retries go with it. It records
// nothing: the deletion of the user is recorded.
func (d *Directory) eraseWords(ctx context.Context, w *write, user db.UserID) error {
	if err := idempotency.Erase(ctx, d.db, user); err != nil {
		return err
	}
	if err := w.eraseReasons(ctx, user); err != nil {
		return err
	}
	var keys []db.APIKeyID
	if err := w.NewRaw("update api_keys set name = ? where user_id = ? returning id", erasedKeyName, user).Scan(ctx, &keys); err != nil || len(keys) == 0 {
		return err
	}
	subjects := make([]string, len(keys))
	for i, id := range keys {
		subjects[i] = id.String()
	}
	_, err := w.ExecContext(ctx, `update changes set before = jsonb_set(before, '{name}', to_jsonb(?0::text), false),
		after = jsonb_set(after, '{name}', to_jsonb(?0::text), false) where subject = any(?1)`, erasedKeyName, pgdialect.Array(subjects))
	return err
}

// deleteUsers ends all that the users, who are locked, have, and leaves tombstones of them,
// without personal data. eraseWords removes the words of others about them, and
// eraseInvitations what others have invited them by.
func (d *Directory) deleteUsers(ctx context.Context, w *write, users []*db.User, reason *string) error {
	if len(users) == 0 {
		return nil
	}
	ids, texts := userIDs(users), make([]string, len(users))
	for i, id := range ids {
		texts[i] = id.String()
	}
	if err := d.leaveAll(ctx, w, ids); err != nil {
		return err
	}
	if _, err := w.revokeKeys(ctx, "k.user_id = any(?0) or k.responsible_user_id = any(?0)", idArray(ids)); err != nil {
		return err
	}
	if err := w.revokeInvitations(ctx, d.clock(), "i.invited_by = any(?)", pgdialect.Array(texts)); err != nil {
		return err
	}
	before := make([]changes.Values, len(users))
	for i, user := range users {
		before[i] = changes.Values{"status": user.Status}
		user.Erase(w.At)
	}
	if err := w.eraseRows(ctx, d, users, ids); err != nil {
		return err
	}
	if err := w.Erase(ctx, texts...); err != nil {
		return err
	}
	for i, id := range texts {
		if err := w.Record(changes.UserDeleted, id, nil, before[i], reasonValues(reason)); err != nil {
			return err
		}
	}
	return nil
}

// eraseRows writes the tombstones, and removes the ways in which the users sign in, their
// sessions, what is known of their attempts, and what imports have reported of them.
func (w *write) eraseRows(ctx context.Context, d *Directory, users []*db.User, ids []db.UserID) error {
	var b db.Batch
	b.Exec("delete from import_people p using import_rows r where r.user_id = any($1) and p.import_id = r.import_id and p.number = r.number", ids)
	b.Exec("update import_rows set email = null where user_id = any($1) and email is not null", ids)
	for _, table := range []string{"import_names", "identities", "passwords", "sessions", "authorization_codes", "flows", "sign_ins"} {
		b.Exec("delete from "+table+" where user_id = any($1)", ids)
	}
	w.updateUsers(&b, users)
	b.Exec("update users set deleted_at = $1, last_signed_in_at = null, sign_in_count = 0 where id = any($2)", w.At, ids)
	return d.db.Run(ctx, &b)
}

// eraseInvitations removes the invitations that the user has accepted, or could accept: they
// have the address and the name.
func (w *write) eraseInvitations(ctx context.Context, user *db.User) error {
	_, err := w.NewDelete().Model((*db.Invitation)(nil)).Where("user_id = ? or email_key = ?", user.ID, user.EmailKey).Exec(ctx)
	return err
}

// eraseReasons removes the reasons of all grants to the user, and of their removals from
// organizations. No index leads from a user to their grants, but organizations lead to them,
// and the moment of a grant leads to the change with the user's id, even if the membership
// has ended.
func (w *write) eraseReasons(ctx context.Context, user db.UserID) error {
	_, err := w.ExecContext(ctx, `update changes c set before = jsonb_set(c.before, '{reason}', 'null', false), after = jsonb_set(c.after, '{reason}', 'null', false)
		where (c.before->>'reason' is not null or c.after->>'reason' is not null) and c.subject = any(array(
			select granted.subject from (
				select g.org_id, g.granted_at from organizations o join membership_roles g on g.org_id = o.id and g.user_id = ?0
				union select g.org_id, g.granted_at from organizations o join membership_permissions g on g.org_id = o.id and g.user_id = ?0) g
			join changes granted on granted.org_id = g.org_id and granted.at = g.granted_at and granted.after->>'userId' = ?1))`, user, user.String())
	if err != nil {
		return err
	}
	// As the index has it (changes_removals).
	if _, err := w.ExecContext(ctx, "update changes set after = null where action = 'membership.deleted' and after is not null and before->>'userId' = ?", user.String()); err != nil {
		return err
	}
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		if _, err := w.ExecContext(ctx, "update "+kind.table+" g set reason = null from organizations o where g.org_id = o.id and g.user_id = ? and g.reason is not null", user); err != nil {
			return err
		}
	}
	return nil
}
