package transfer

import (
	"context"
	"encoding/json"

	"roster/access"
	"roster/db"
)

// exportedUser is a user as an export has them.
type exportedUser struct {
	db.User `bun:",extend"`
	// PasswordHash is nil without a password, and in exports without hashes.
	PasswordHash *string
	// Organizations are the ones that the user belongs to, in the order of joining, as
	// exportedPlace has them, and Identities their ways to sign in by a provider, of which CSV
	// has no column.
	Organizations, Identities json.RawMessage
}

// exportedPlace is an organization that a user belongs to, with what they were granted there.
// The organization is named by its external id or, without one, by its code.
type exportedPlace struct {
	Organization string   `json:"external_id"`
	Roles        []string `json:"roles"`
	Permissions  []string `json:"permissions"`
}

const (
	userColumns = "u.id, u.email, u.email_verified, u.phone, u.username, u.given_name, u.family_name, u.picture_url, u.external_id, u.status, u.properties"

	// lastingSQL is the condition that a grant g counts for good from now on. A file cannot say
	// when a grant begins or ends, nor that a member is suspended: it has what holds without
	// more words.
	lastingSQL = "g.org_id = m.org_id and g.user_id = m.user_id and m.status = 'ACTIVE' and g.ends_at is null and " + access.ActiveSQL

	placesSQL = `select json_build_object('external_id', coalesce(o.external_id, o.code),
			'roles', coalesce((select json_agg(distinct r.key order by r.key) from membership_roles g join roles r on r.id = g.role_id where ` + lastingSQL + `), '[]'),
			'permissions', coalesce((select json_agg(distinct p.key order by p.key) from membership_permissions g join permissions p on p.id = g.permission_id where ` + lastingSQL + `), '[]')) as place
		from memberships m join organizations o on o.id = m.org_id where m.user_id = u.id`

	// A provider is named by its issuer, and the one that files of others know by a name of its
	// own, by that.
	identitiesSQL = `, (select coalesce(json_agg(json_build_object(
			'type', 'oauth2:' || case i.provider when 'https://accounts.google.com' then 'google' else i.provider end, 'identity', i.subject) order by i.created_at, i.provider, i.subject), '[]')
		from identities i where i.user_id = u.id and i.provider <> '` + db.PasswordProvider + `') as identities`

	// A temporary password is none of the person's.
	hashSQL = ", (select pw.hash from passwords pw where pw.user_id = u.id and not pw.temporary) as password_hash"
)

// page returns the users of the export whose ids come after last, in order, with what the
// file has of them. All that it has of one user is from one moment.
func (d *Download) page(ctx context.Context, last db.UserID) ([]exportedUser, error) {
	args := []any{last, pageSize}
	places, from := placesSQL+" and m.org_id <> "+db.RootSQL, "users u where u.id > $1"
	if d.export.OrgID != nil {
		args = append(args, *d.export.OrgID)
		places, from = placesSQL+" and m.org_id = $3", "memberships mine join users u on u.id = mine.user_id where mine.org_id = $3 and mine.user_id > $1"
	}
	columns := userColumns
	if d.export.Format == db.ExportNDJSON {
		columns += identitiesSQL
	}
	if d.export.Hashes {
		columns += hashSQL
	}
	return db.Select[exportedUser](ctx, d.service.Database, "select "+columns+", (select coalesce(json_agg(x.place), '[]') from ("+places+" order by m.joined_at, m.id) x) as organizations from "+
		from+" and u.deleted_at is null order by u.id limit $2", args...)
}
