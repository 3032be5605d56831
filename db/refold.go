package db

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"

	"github.com/uptrace/bun"
)

// refolding brings the columns that Derive makes up to the rules by which addresses
// and names are compared since migration 5 (decisions/0008). Nobody writes to
// users and organizations meanwhile, for some seconds with 1,000,000 users.
//
// If another row has the key that a row would get, the row keeps its present key
// until its text changes, and the log names it. Rows are done in the order in which
// they were made, so that the newer one of two loses.
type refolding struct {
	db  *DB
	tx  *sql.Tx
	log *slog.Logger
}

func (r refolding) run(ctx context.Context) error {
	if _, err := r.tx.ExecContext(ctx, "lock table users, organizations in share row exclusive mode"); err != nil {
		return err
	}
	if err := r.users(ctx); err != nil {
		return err
	}
	return r.organizations(ctx)
}

// query is a statement of the migration's transaction.
func (r refolding) query(text string, args ...any) *bun.RawQuery {
	return r.db.NewRaw(text, args...).Conn(r.tx)
}

// refoldBatch is how many rows are in memory at a time.
const refoldBatch = 5000

// users looks at the users for whom the rules may differ: users with other letters
// than ASCII, and with encoded ones in their domains. It names columns, since later
// migrations add some.
func (r refolding) users(ctx context.Context) error {
	for after := (UserID{}); ; {
		var users []User
		err := r.query(`select id, email, email_key, username, username_key, phone, given_name, family_name,
				name, name_key, external_id, external_id_key, search
			from users where deleted_at is null and id > ? and (email ilike '%xn--%'
				or octet_length(concat(email, username, external_id, name)) <> char_length(concat(email, username, external_id, name)))
			order by id limit ?`, after, refoldBatch).Scan(ctx, &users)
		if err != nil || len(users) == 0 {
			return err
		}
		for i := range users {
			if err := r.user(ctx, &users[i]); err != nil {
				return err
			}
		}
		after = users[len(users)-1].ID
	}
}

func (r refolding) user(ctx context.Context, user *User) error {
	before := *user
	user.Derive()
	taken, err := r.taken(ctx, before.Claims(), user.Claims())
	if err != nil {
		return err
	}
	for _, column := range taken {
		switch column {
		case "email_key":
			user.EmailKey = before.EmailKey
		case "username_key":
			user.UsernameKey = before.UsernameKey
		case "external_id_key":
			user.ExternalIDKey = before.ExternalIDKey
		}
		r.warn(ctx, "user", user.ID.String(), column)
	}
	if before.NameKey == user.NameKey && before.Search == user.Search && sameClaims(before.Claims(), user.Claims()) {
		return nil
	}
	_, err = r.query(`update users set email_key = ?, username_key = ?, external_id_key = ?, name_key = ?, search = ? where id = ?`,
		user.EmailKey, user.UsernameKey, user.ExternalIDKey, user.NameKey, user.Search, user.ID).Exec(ctx)
	return err
}

// organizations looks at all organizations with other letters than ASCII, or with
// domains. They are few beside users.
func (r refolding) organizations(ctx context.Context) error {
	var orgs []Organization
	err := r.query(`select id, code, name, name_key, external_id, external_id_key, auto_join_domains, search
		from organizations where deleted_at is null and (auto_join_domains <> '{}'
			or octet_length(concat(name, external_id)) <> char_length(concat(name, external_id))) order by id`).Scan(ctx, &orgs)
	if err != nil {
		return err
	}
	for i := range orgs {
		if err := r.organization(ctx, &orgs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r refolding) organization(ctx context.Context, org *Organization) error {
	before := *org
	org.Derive()
	org.AutoJoinDomains = refoldDomains(before.AutoJoinDomains)
	taken, err := r.taken(ctx, before.Claims(), org.Claims())
	if err != nil {
		return err
	}
	for _, column := range taken {
		org.ExternalIDKey = before.ExternalIDKey
		r.warn(ctx, "organization", org.ID.String(), column)
	}
	if before.NameKey == org.NameKey && before.Search == org.Search && sameClaims(before.Claims(), org.Claims()) &&
		slices.Equal(before.AutoJoinDomains, org.AutoJoinDomains) {
		return nil
	}
	_, err = r.db.NewUpdate().Conn(r.tx).Model(org).Column("external_id_key", "name_key", "search", "auto_join_domains").WherePK().Exec(ctx)
	return err
}

// refoldDomains keeps text that is not a domain any more as it is.
func refoldDomains(domains []string) []string {
	all := make([]string, 0, len(domains))
	for _, domain := range domains {
		if folded, err := Domain(domain); err == nil {
			domain = folded
		}
		if !slices.Contains(all, domain) {
			all = append(all, domain)
		}
	}
	return all
}

// taken returns the columns whose new value another row has.
func (r refolding) taken(ctx context.Context, before, after Claims) (columns []string, err error) {
	if sameClaims(before, after) {
		return nil, nil
	}
	text, args := after.Taken()
	var constraints []string
	if err := r.query(text, args...).Scan(ctx, &constraints); err != nil {
		return nil, err
	}
	for _, claim := range after.Values {
		if slices.Contains(constraints, claim.Constraint) {
			columns = append(columns, claim.Column)
		}
	}
	return columns, nil
}

func (r refolding) warn(ctx context.Context, kind, id, column string) {
	r.log.WarnContext(ctx, "a name looks like another one's, and is found by its id only: change it", kind, id, "column", column)
}

// sameClaims reports whether two states of a row claim the same values.
func sameClaims(one, other Claims) bool {
	return slices.EqualFunc(one.Values, other.Values, func(a, b Claim) bool {
		return (a.Value == nil) == (b.Value == nil) && (a.Value == nil || *a.Value == *b.Value)
	})
}
