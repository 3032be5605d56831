package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/secret"
)

// seedVersion must change whenever seed makes something else, so that older databases
// are not used any more.
const seedVersion = 1

// apiKey is the administrator's key in the seeded database, which nobody else can
// reach.
const apiKey = "rk_benchmark_benchmark_benchmark_benchmark"

// size is the size of the business. Every user has two memberships, and every
// membership has two roles and one direct permission.
type size struct {
	users, organizations, roles, permissions, rolePermissions int
}

var fullSize = size{users: 100_000, organizations: 200, roles: 20, permissions: 200, rolePermissions: 25}

// seed fills a new database as the application would, including derived columns. Only
// the log of changes stays empty.
func seed(ctx context.Context, dsn string, s size) error {
	if err := setUp(ctx, dsn); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// Without foreign keys and triggers: the rows are consistent by construction, and
	// checking each takes half a minute.
	if _, err := conn.Exec(ctx, "set session_replication_role = replica"); err != nil {
		return err
	}
	b := business{size: s, rand: rand.New(rand.NewPCG(1, 2)), began: time.Now().UTC().Add(-3 * 365 * 24 * time.Hour).Truncate(time.Microsecond)}
	if err := conn.QueryRow(ctx, "select id from organizations where is_default").Scan((*uuid.UUID)(b.addOrganization())); err != nil {
		return err
	}
	for _, fill := range []func() []table{b.definitions, b.people} {
		for _, t := range fill() {
			if _, err := conn.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	_, err = conn.Exec(ctx, "vacuum (freeze, analyze)")
	return err
}

// setUp migrates the database, and makes Roster's own rows and the administrator's
// key.
func setUp(ctx context.Context, dsn string) error {
	database, err := db.Open(ctx, secret.New(dsn), db.Options{})
	if err != nil {
		return err
	}
	defer database.Close()
	if _, err := database.Migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	d := directory.New(database, access.Options{Log: slog.New(slog.DiscardHandler)})
	defer d.Close()
	if err := d.Setup(ctx); err != nil {
		return err
	}
	return d.EnsureAdministratorKey(ctx, secret.New(apiKey))
}

// table holds rows to copy into a table of the database.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

func (t *table) add(values ...any) { t.rows = append(t.rows, values) }

// business holds what has been made so far, so that later rows can refer to it. The
// same size leads to the same business, except for ids.
type business struct {
	size
	rand          *rand.Rand
	began         time.Time
	organizations []db.OrganizationID
	roles         []db.RoleID
	permissions   []db.PermissionID
}

const seededBy = "system:bench"

// addOrganization adds an empty id, and returns a pointer to it.
func (b *business) addOrganization() *db.OrganizationID {
	b.organizations = append(b.organizations, db.OrganizationID{})
	return &b.organizations[len(b.organizations)-1]
}

// definitions returns the rows of organizations (except the default one, which
// exists), permissions and roles.
func (b *business) definitions() []table {
	organizations := table{name: "organizations", columns: []string{"id", "code", "name", "name_key", "search", "created_at", "updated_at"}}
	for len(b.organizations) < b.size.organizations {
		n := len(b.organizations)
		o := db.Organization{ID: db.NewID[db.OrganizationKind](), Code: fmt.Sprintf("customer-%03d", n), Name: fmt.Sprintf("Customer %03d Ltd", n)}
		o.Derive()
		*b.addOrganization() = o.ID
		organizations.add(o.ID, o.Code, o.Name, o.NameKey, o.Search, b.began, b.began)
	}
	permissions := table{name: "permissions", columns: []string{"id", "key", "name", "created_at"}}
	for n := range b.size.permissions {
		id := db.NewID[db.PermissionKind]()
		b.permissions = append(b.permissions, id)
		permissions.add(id, fmt.Sprintf("area%02d:action%d", n/8, n%8), fmt.Sprintf("Action %d in area %d", n%8, n/8), b.began)
	}
	roles := table{name: "roles", columns: []string{"id", "key", "name", "created_at", "updated_at"}}
	contents := table{name: "role_permissions", columns: []string{"role_id", "permission_id", "granted_at", "granted_by"}}
	for n := range b.size.roles {
		id := db.NewID[db.RoleKind]()
		b.roles = append(b.roles, id)
		roles.add(id, fmt.Sprintf("role-%02d", n), fmt.Sprintf("Role %02d", n), b.began, b.began)
		for _, p := range b.rand.Perm(len(b.permissions))[:b.rolePermissions] {
			contents.add(id, b.permissions[p], b.began, seededBy)
		}
	}
	return []table{organizations, permissions, roles, contents}
}

// people returns the rows of users with their memberships and grants. One user in ten
// belongs to the first organization, and one in a hundred is suspended.
func (b *business) people() []table {
	users := table{name: "users", columns: []string{
		"id", "email", "email_key", "email_verified", "username", "username_key", "given_name", "family_name", "name", "name_key",
		"external_id", "external_id_key", "status", "properties", "search", "created_at", "updated_at",
	}}
	memberships := table{name: "memberships", columns: []string{"id", "org_id", "user_id", "joined_at"}}
	common := []string{"org_id", "user_id", "id", "starts_at", "granted_at", "granted_by"}
	roles := table{name: "membership_roles", columns: append(common[:6:6], "role_id")}
	permissions := table{name: "membership_permissions", columns: append(common[:6:6], "permission_id")}
	for n := range b.users {
		u := b.user(n)
		users.add(u.ID, u.Email, u.EmailKey, u.EmailVerified, u.Username, u.UsernameKey, u.GivenName, u.FamilyName, u.Name, u.NameKey,
			u.ExternalID, u.ExternalIDKey, u.Status, u.Properties, u.Search, u.CreatedAt, u.UpdatedAt)
		for i, org := range b.twoOrganizations(n) {
			at := u.CreatedAt.Add(time.Duration(i) * time.Minute)
			memberships.add(db.NewID[db.MembershipKind](), org, u.ID, at)
			first, second := b.drawTwo(len(b.roles))
			for _, role := range []int{first, second} {
				roles.add(org, u.ID, uuid.Must(uuid.NewV7()), at, at, seededBy, b.roles[role])
			}
			permissions.add(org, u.ID, uuid.Must(uuid.NewV7()), at, at, seededBy, b.permissions[b.rand.IntN(len(b.permissions))])
		}
	}
	return []table{users, memberships, roles, permissions}
}

func (b *business) user(n int) *db.User {
	given, family := givenNames[b.rand.IntN(len(givenNames))], familyNames[b.rand.IntN(len(familyNames))]
	email, external := fmt.Sprintf("%s.%s.%d@Example.com", given, family, n), fmt.Sprintf("CRM-%06d", n)
	u := &db.User{
		ID: db.NewID[db.UserKind](), Email: &email, EmailVerified: true, GivenName: &given, FamilyName: &family, ExternalID: &external,
		Status: db.Active, Properties: json.RawMessage(fmt.Sprintf(`{"locale": "en", "employee": %d}`, n)),
		CreatedAt: b.began.Add(time.Duration(n) * 10 * time.Minute),
	}
	u.UpdatedAt = u.CreatedAt
	if n%2 == 0 {
		username := fmt.Sprintf("%s%d", family, n)
		u.Username = &username
	}
	if n%100 == 99 {
		u.Status = db.Suspended
	}
	u.Derive()
	return u
}

// twoOrganizations draws the organizations of the n-th user.
func (b *business) twoOrganizations(n int) [2]db.OrganizationID {
	others := b.organizations[1:]
	first, second := b.drawTwo(len(others))
	if n%10 == 0 {
		return [2]db.OrganizationID{b.organizations[0], others[second]}
	}
	return [2]db.OrganizationID{others[first], others[second]}
}

// drawTwo draws two different numbers below n.
func (b *business) drawTwo(n int) (first, second int) {
	first, second = b.rand.IntN(n), b.rand.IntN(n-1)
	if second >= first {
		second++
	}
	return first, second
}

var (
	givenNames = []string{
		"Ada", "Alan", "Barbara", "Chiara", "Donald", "Edsger", "Frances", "Grace", "Hedy", "Ivan", "Jean", "Ken", "Leslie",
		"Margaret", "Niklaus", "Olga", "Péter", "Radia", "Shafi", "Tim", "Ursula", "Vint", "Wendy", "Yukihiro", "Zoë",
	}
	familyNames = []string{
		"Allen", "Backus", "Cerf", "Dijkstra", "Engelbart", "Floyd", "Goldwasser", "Hopper", "Iverson", "Jensen", "Knuth", "Lamport",
		"Moore", "Naur", "Ousterhout", "Perlman", "Quinlan", "Ritchie", "Sammet", "Turing", "Ullman", "Vardi", "Wirth", "Yao", "Zadeh",
	}
)
