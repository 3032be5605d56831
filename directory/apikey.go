package directory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/db/list"
	"roster/problem"
	"roster/secret"
)

// visibleKeys returns conditions on API keys that the actor manages: all, or the ones of
// an organization. The key of an application is part of the application.
func visibleKeys(ctx context.Context) ([]list.Clause, error) {
	org, err := access.ScopeOf(ctx, access.KeysWrite)
	if err != nil {
		return nil, err
	}
	conditions := []list.Clause{list.Where("not k.is_application")}
	if org != nil {
		conditions = append(conditions, list.Where("k.org_id = ?", *org))
	}
	return conditions, nil
}

// keyColumns returns the columns to read for the fields. The fields with the creator of
// the key, and with the key that answers for it, have no columns of their names.
func (d *Directory) keyColumns(fields list.Fields) []string {
	columns := db.Columns[db.APIKey](d.db, fields)
	for _, column := range []string{"created_by", "responsible_id", "responsible_user_id"} {
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
	}
	return columns
}

// APIKeys returns a page of the API keys that the actor manages, by time of
// creation, with the columns of fields. Revoked and expired keys are included.
func (d *Directory) APIKeys(ctx context.Context, page list.Page, fields list.Fields) (*list.Connection[db.APIKey], error) {
	conditions, err := visibleKeys(ctx)
	if err != nil {
		return nil, err
	}
	return list.Query[db.APIKey]{
		Name: "apiKeys", From: "api_keys k", Alias: "k", Columns: d.keyColumns(fields), Conditions: conditions,
		Key: list.Key[db.APIKey]{
			Name: "CREATED_AT", Expression: "k.created_at", Column: "created_at", Type: list.Time,
			Value: func(k *db.APIKey) string { return list.TimeValue(&k.CreatedAt) },
		},
		ID: func(k *db.APIKey) uuid.UUID { return uuid.UUID(k.ID) },
	}.Page(ctx, d.db, page)
}

// APIKey returns an API key that the actor manages; nil if there is no such key.
func (d *Directory) APIKey(ctx context.Context, id db.APIKeyID) (*db.APIKey, error) {
	conditions, err := visibleKeys(ctx)
	if err != nil {
		return nil, err
	}
	q := list.NewStatement("apiKey").Add("select * from api_keys k").Where(append(conditions, list.Where("k.id = ?", id))...)
	return list.SelectOne[db.APIKey](ctx, d.db, q)
}

// APIKeysByID reads API keys that were reached through something that the actor
// may see, such as a change that one of them made. Their order is undefined. An actor
// who does not manage a key sees its id, and hardly more.
func (d *Directory) APIKeysByID(ctx context.Context, ids []db.APIKeyID) ([]db.APIKey, error) {
	keys, err := db.Select[db.APIKey](ctx, d.db, "select * from api_keys where id = any($1)", ids)
	actor := access.ActorOf(ctx)
	for i := range keys {
		if !managesKey(actor, &keys[i]) {
			hideKey(&keys[i])
		}
	}
	return keys, err
}

// APIKeyPermissions returns the permissions of each of the keys, in the order of
// the keys, sorted by their own keys; nothing for keys that the actor does not manage.
func (d *Directory) APIKeyPermissions(ctx context.Context, keys []db.APIKeyID) ([][]*db.Permission, error) {
	conditions, err := visibleKeys(ctx)
	// A key that manages no keys still sees its own permissions.
	if actor := access.ActorOf(ctx); problem.Is(err, problem.Forbidden) && actor.Key != nil && !slices.ContainsFunc(keys, func(id db.APIKeyID) bool { return id != actor.Key.ID }) {
		conditions, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	return d.permissionsOfKeys(ctx, keys, conditions)
}

// permissionsOfKeys is APIKeyPermissions for the keys that the conditions select.
func (d *Directory) permissionsOfKeys(ctx context.Context, keys []db.APIKeyID, conditions []list.Clause) ([][]*db.Permission, error) {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	q := list.NewStatement("apiKey.permissions").Add("select kp.* from api_key_permissions kp join api_keys k on k.id = kp.api_key_id").
		Where(append(conditions, list.Where("kp.api_key_id = any(?)", keys))...)
	rows, err := list.Select[db.APIKeyPermission](ctx, d.db, q)
	if err != nil {
		return nil, err
	}
	of := make(map[db.APIKeyID][]*db.Permission, len(keys))
	for _, row := range rows {
		if permission := catalogue.Permission(row.PermissionID); permission != nil && permission.DeletedAt == nil {
			of[row.APIKeyID] = append(of[row.APIKeyID], permission)
		}
	}
	all := make([][]*db.Permission, len(keys))
	for i, id := range keys {
		all[i] = slices.SortedFunc(slices.Values(of[id]), byPermissionKey)
	}
	return all, nil
}

func byPermissionKey(a, b *db.Permission) int { return cmp.Compare(a.Key, b.Key) }

// CreateAPIKeyInput describes a new API key.
type CreateAPIKeyInput struct {
	Name        string
	Permissions []*PermissionRef
	// Organization is the only one in which the key works; nil means all.
	Organization *OrganizationRef
	// User is the user for whom the key stands; nil if it stands for itself.
	User      *UserRef
	ExpiresAt *time.Time
}

// CreateAPIKey creates an API key with permissions that the actor may hand out, and
// returns it with its secret, which is not stored. The actor answers for it: see
// AdoptAPIKey.
func (d *Directory) CreateAPIKey(ctx context.Context, in CreateAPIKeyInput) (key *db.APIKey, shown secret.Text, err error) {
	shown = credential.New()
	create := func(ctx context.Context, w *write, org *db.Organization) error {
		key = w.newKey(w.faults.name("input.name", in.Name), shown, nil)
		key.ExpiresAt = w.faults.expiry("input.expiresAt", in.ExpiresAt, w.At)
		if org != nil {
			key.OrgID = &org.ID
		}
		permissions, err := d.permissionsNamed(ctx, w, "input.permissions", in.Permissions, 0)
		if err != nil {
			return err
		}
		var allowance access.Allowance
		if org != nil || in.Organization == nil { // else nobody can tell who is there, and what may be handed out
			if allowance, err = d.allowKey(ctx, w, key, in.User, permissions); err != nil {
				return err
			}
		}
		if err := d.answerFor(ctx, w, key, 1, "input"); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		return w.insertKey(ctx, key, permissions, allowance)
	}
	if in.Organization == nil {
		err = d.change(ctx, access.KeysWrite, func(ctx context.Context, w *write) error { return create(ctx, w, nil) })
	} else {
		err = d.changeIn(ctx, access.KeysWrite, *in.Organization, create)
	}
	if err != nil {
		return nil, secret.Text{}, err
	}
	return key, shown, nil
}

// allowKey returns the actor's allowance to hand out the permissions of the key, and
// sets the user for whom the key stands, if there is one. The user of an
// organization's key must be a member of the organization.
func (d *Directory) allowKey(ctx context.Context, w *write, key *db.APIKey, user *UserRef, permissions []*db.Permission) (access.Allowance, error) {
	if user == nil {
		return d.allowCredential(ctx, w, key, false, permissions)
	}
	var err error
	if key.UserID, err = d.lockKeyUser(ctx, w, key, user); err != nil {
		return access.Allowance{}, err
	}
	if key.UserID != nil {
		if err := d.outrank(ctx, w, *key.UserID, key.OrgID, "input.user"); err != nil {
			return access.Allowance{}, err
		}
	}
	return d.allowCredential(ctx, w, key, true, permissions)
}

// allowCredential returns the actor's allowance for the key, for the permissions that it
// is to have until it expires and, if it stands for a user, for what users may read.
func (d *Directory) allowCredential(ctx context.Context, w *write, key *db.APIKey, ofUser bool, permissions []*db.Permission) (access.Allowance, error) {
	if ofUser {
		read, err := d.readByUsers(ctx)
		if err != nil {
			return access.Allowance{}, err
		}
		permissions = slices.Concat(permissions, read)
	}
	items := append(permissionItems(permissions, key.ExpiresAt), access.Item{ID: uuid.UUID(key.ID), EndsAt: key.ExpiresAt})
	return d.allow(ctx, w, access.Handout{By: access.KeysWrite, Organization: key.OrgID, Credential: true, Items: items})
}

// readByUsers returns the permissions that users have to read their own data.
func (d *Directory) readByUsers(ctx context.Context) ([]*db.Permission, error) {
	catalogue, err := d.engine.Catalogue(ctx)
	if err != nil {
		return nil, err
	}
	var permissions []*db.Permission
	for _, key := range []access.Permission{access.UsersRead, access.MembersRead, access.OrganizationsRead} {
		permissions = append(permissions, catalogue.PermissionByKey(string(key)))
	}
	return permissions, nil
}

// expiry checks when something ends that begins now, and returns it in the precision
// of the database, microseconds.
func (f *faults) expiry(field string, at *time.Time, now time.Time) *time.Time {
	if at == nil {
		return nil
	}
	if !at.After(now) {
		f.Add(problem.Invalid, field, "Must be in the future.")
	}
	end := at.UTC().Truncate(time.Microsecond)
	return &end
}

func (w *write) newKey(name string, shown secret.Text, org *db.OrganizationID) *db.APIKey {
	return &db.APIKey{
		ID: db.NewID[db.APIKeyKind](), Name: name, Prefix: credential.Shown(shown), Hash: credential.Hash(shown), OrgID: org,
		CreatedAt: w.At, CreatedBy: w.actor.String(),
	}
}

// keyValues are the values of an API key in the log of changes.
type keyValues struct {
	*db.APIKey
	Permissions []string `json:"permissions"`
}

func (w *write) insertKey(ctx context.Context, key *db.APIKey, permissions []*db.Permission, by access.Allowance) error {
	if err := covered(by, key.OrgID, key.ExpiresAt, uuid.UUID(key.ID)); err != nil {
		return err
	}
	if _, err := w.NewInsert().Model(key).Exec(ctx); err != nil {
		return err
	}
	if err := w.insertKeyPermissions(ctx, key, permissions, by); err != nil {
		return err
	}
	return w.Record(changes.APIKeyCreated, key.ID.String(), key.OrgID, nil, keyValues{key, permissionKeys(permissions)})
}

func (w *write) insertKeyPermissions(ctx context.Context, key *db.APIKey, permissions []*db.Permission, by access.Allowance) error {
	if len(permissions) == 0 {
		return nil
	}
	if err := covered(by, key.OrgID, key.ExpiresAt, raw(permissionIDs(permissions))...); err != nil {
		return err
	}
	rows := make([]*db.APIKeyPermission, len(permissions))
	for i, p := range permissions {
		rows[i] = &db.APIKeyPermission{APIKeyID: key.ID, PermissionID: p.ID}
	}
	_, err := w.NewInsert().Model(&rows).Exec(ctx)
	return err
}

// APIKeyActionInput names the API key to act upon.
type APIKeyActionInput struct{ APIKey string }

// RevokeAPIKey ends an API key that the actor manages, for good, and with it what
// descends from the key. A key that is revoked already stays as it is. The actor must
// outrank the user for whom it stands.
func (d *Directory) RevokeAPIKey(ctx context.Context, in APIKeyActionInput) (*db.APIKey, error) {
	return d.changeKey(ctx, in, func(ctx context.Context, w *write, key *db.APIKey) error {
		if key.RevokedAt != nil {
			return nil
		}
		revoked, err := w.revokeKeys(ctx, "k.id = ?", key.ID)
		for _, k := range revoked {
			if k.ID == key.ID {
				*key = *k
			}
		}
		return err
	})
}

// changeKey calls edit to change an API key that the actor manages, unless there is no
// such key. The actor must outrank the users for whom the key, and what descends from it,
// stand.
func (d *Directory) changeKey(ctx context.Context, in APIKeyActionInput, edit func(ctx context.Context, w *write, key *db.APIKey) error) (*db.APIKey, error) {
	reach, err := access.ScopeOf(ctx, access.KeysWrite)
	if err != nil {
		return nil, err
	}
	var key *db.APIKey
	change := func(ctx context.Context, w *write) error {
		if key, err = d.lockKeyToEnd(ctx, w, in.APIKey, reach); err != nil {
			return err
		}
		if err := d.outrankKey(ctx, w, key, "input.apiKey"); err != nil {
			return err
		}
		if err := w.faults.Err(); err != nil {
			return err
		}
		return edit(ctx, w, key)
	}
	if reach == nil {
		err = d.change(ctx, access.KeysWrite, change)
	} else {
		org := reach.String()
		err = d.changeIn(ctx, access.KeysWrite, OrganizationRef{ID: &org}, func(ctx context.Context, w *write, _ *db.Organization) error {
			return change(ctx, w)
		})
	}
	return key, err
}

// lockKeyToEnd returns an API key, locked for a write, and interrupts what it is doing;
// org, unless it is nil, is the organization that it must belong to. If there is no such
// key, it returns nil and adds a fault.
func (d *Directory) lockKeyToEnd(ctx context.Context, w *write, text string, org *db.OrganizationID) (key *db.APIKey, err error) {
	if id, malformed := db.ParseID[db.APIKeyKind](text); malformed == nil {
		const find = "select * from api_keys where id = $1 and not is_application and ($2::uuid is null or org_id = $2)"
		if key, err = db.SelectOne[db.APIKey](ctx, d.db, find, id, org); key != nil {
			if err := d.interrupt(ctx, keyParty(key)); err != nil {
				return nil, err
			}
			key, err = db.SelectOne[db.APIKey](ctx, d.db, find+" for no key update", id, org)
		}
	}
	if key == nil && err == nil {
		w.faults.Add(problem.NotFound, "input.apiKey", "There is no such API key.")
	}
	return key, err
}

// revokeKeys revokes the keys k that the condition selects, and what descends from them,
// and returns them. It takes as many statements for a thousand keys as for one.
func (w *write) revokeKeys(ctx context.Context, condition string, args ...any) ([]*db.APIKey, error) {
	keys, err := w.lockDescending(ctx, condition, args...)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	by, ids := w.actor.String(), make([]db.APIKeyID, len(keys))
	for i, key := range keys {
		before := *key
		ids[i], key.RevokedAt, key.RevokedBy = key.ID, &w.At, &by
		if err := w.recordRevoked(&before, key); err != nil {
			return nil, err
		}
	}
	_, err = w.NewUpdate().Model((*db.APIKey)(nil)).Set("revoked_at = ?, revoked_by = ?", w.At, by).Where("id = any(?)", idArray(ids)).Exec(ctx)
	return keys, err
}
