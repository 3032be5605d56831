package directory

import (
	"context"
	"strings"

	"roster/access"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// Nodes returns rows by their ids, of whatever kind, in the order of the ids: a
// *db.User, *db.Organization, and so on. A row that does not exist, or is hidden from
// the actor, and a text that is not an id, is returned as nil.
func (d *Directory) Nodes(ctx context.Context, ids []string) ([]any, error) {
	if len(ids) > maxList {
		return nil, problem.At(problem.Invalid, "ids", "At most %d at once.", maxList)
	}
	if access.ActorOf(ctx) == nil {
		return nil, access.Require(ctx, access.UsersRead)
	}
	byPrefix := map[string][]string{}
	for _, id := range ids {
		prefix, _, _ := strings.Cut(id, "_")
		byPrefix[prefix] = append(byPrefix[prefix], id)
	}
	found := make(map[string]any, len(ids))
	for prefix, ids := range byPrefix {
		if err := d.findNodes(ctx, prefix, ids, found); err != nil && !problem.Is(err, problem.Forbidden) {
			return nil, err
		}
	}
	nodes := make([]any, len(ids))
	for i, id := range ids {
		nodes[i] = found[id]
	}
	return nodes, nil
}

// findNodes reads the rows of one kind.
func (d *Directory) findNodes(ctx context.Context, prefix string, ids []string, found map[string]any) error {
	switch prefix {
	case db.UserKind{}.Prefix():
		conditions, err := visibleUsers(ctx)
		return rowsByID[db.UserKind, db.User](ctx, d, "users u", "u", conditions, err, ids, found)
	case db.OrganizationKind{}.Prefix():
		conditions, err := visibleOrganizations(ctx)
		return rowsByID[db.OrganizationKind, db.Organization](ctx, d, "organizations o", "o", conditions, err, ids, found)
	case db.MembershipKind{}.Prefix():
		conditions, err := visibleMembersOf(ctx, nil)
		return rowsByID[db.MembershipKind, db.Membership](ctx, d, "memberships m", "m", conditions, err, ids, found)
	case db.APIKeyKind{}.Prefix():
		conditions, err := visibleKeys(ctx)
		return rowsByID[db.APIKeyKind, db.APIKey](ctx, d, "api_keys k", "k", conditions, err, ids, found)
	case db.ClientKind{}.Prefix():
		return rowsByID[db.ClientKind, db.Application](ctx, d, "applications ap", "ap", []list.Clause{list.Where("ap.deleted_at is null")}, access.Require(ctx, access.SettingsRead), ids, found)
	case db.ChangeKind{}.Prefix():
		_, conditions, err := visibleChanges(ctx)
		return rowsByID[db.ChangeKind, db.Change](ctx, d, "changes c", "c", conditions, err, ids, found)
	case db.SessionKind{}.Prefix():
		conditions, err := VisiblePersonal(ctx, "s")
		return rowsByID[db.SessionKind, db.Session](ctx, d, "sessions s", "s", conditions, err, ids, found)
	case db.SignInKind{}.Prefix():
		conditions, err := VisiblePersonal(ctx, "si")
		return rowsByID[db.SignInKind, db.SignIn](ctx, d, "sign_ins si", "si", conditions, err, ids, found)
	case db.InvitationKind{}.Prefix():
		conditions, err := visibleInvitations(ctx)
		return rowsByID[db.InvitationKind, db.Invitation](ctx, d, "invitations i", "i", conditions, err, ids, found)
	case db.ProviderKind{}.Prefix():
		conditions, err := visibleProviders(ctx)
		return rowsByID[db.ProviderKind, db.IdentityProvider](ctx, d, "identity_providers ip", "ip", conditions, err, ids, found)
	case db.ImportKind{}.Prefix():
		return rowsByID[db.ImportKind, db.Import](ctx, d, "imports im", "im", nil, access.Require(ctx, access.ImportsWrite), ids, found)
	case db.RoleKind{}.Prefix():
		return findEach(ids, found, func(id string) (*db.Role, error) { return d.Role(ctx, RoleRef{ID: &id}) })
	case db.PermissionKind{}.Prefix():
		return findEach(ids, found, func(id string) (*db.Permission, error) { return d.Permission(ctx, PermissionRef{ID: &id}) })
	}
	return nil
}

// rowsByID reads rows that the conditions leave visible.
func rowsByID[K db.Kind, T any](ctx context.Context, d *Directory, from, alias string, visible []list.Clause, err error,
	ids []string, found map[string]any,
) error {
	if err != nil {
		return err
	}
	var known []db.ID[K]
	for _, text := range ids {
		if id, err := db.ParseID[K](text); err == nil {
			known = append(known, id)
		}
	}
	q := list.NewStatement("nodes").Add("select " + alias + ".* from " + from).
		Where(append(visible, list.Where(alias+".id = any(?::uuid[])", known))...)
	rows, err := list.Select[T](ctx, d.db, q)
	if err != nil {
		return err
	}
	for i := range rows {
		found[any(&rows[i]).(interface{ NodeID() string }).NodeID()] = &rows[i]
	}
	return nil
}

// findEach finds rows that are in memory.
func findEach[T any](ids []string, found map[string]any, find func(id string) (*T, error)) error {
	for _, id := range ids {
		row, err := find(id)
		if err != nil {
			return err
		}
		if row != nil {
			found[id] = row
		}
	}
	return nil
}
