package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"roster/db"
)

// gatherChecks adds the cases of checks. They ask about members, some of whom hold
// the permission.
func (c *cases) gatherChecks(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `select org_id, user_id, code, email from memberships m
		join organizations o on o.id = org_id join users u on u.id = user_id order by org_id, user_id`)
	if err != nil {
		return err
	}
	members, err := pgx.CollectRows(rows, pgx.RowToStructByPos[member])
	if err != nil {
		return err
	}
	rows, err = conn.Query(ctx, "select key from permissions where not is_system order by key")
	if err != nil {
		return err
	}
	permissions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	roles, err := selectIDs(ctx, conn, "select id from roles where not is_system order by key")
	if err != nil {
		return err
	}
	c.gatherGrants(members, roles)
	const checks, batches, matrices = 5000, 50, 100
	for range checks {
		m, permission := members[rand.IntN(len(members))], permissions[rand.IntN(len(permissions))]
		c.checks = append(c.checks, variables{document: map[string]any{
			"user": m.user(), "organization": m.organization(), "permission": permission,
		}})
		c.named = append(c.named, variables{document: map[string]any{"user": m.Email, "organization": m.Code, "permission": permission}})
	}
	for range batches {
		input := make([]any, batch)
		for i := range input {
			m := members[rand.IntN(len(members))]
			input[i] = map[string]any{
				"user": map[string]string{"id": m.user()}, "organization": map[string]string{"id": m.organization()},
				"permission": permissions[rand.IntN(len(permissions))],
			}
		}
		c.batches = append(c.batches, variables{document: map[string]any{"input": input}})
	}
	for range matrices {
		// Neighbors are in one organization, except at its end.
		first := rand.IntN(len(members) - matrixSide)
		users := make([]any, matrixSide)
		for i := range users {
			users[i] = map[string]string{"id": members[first+i].user()}
		}
		c.matrices = append(c.matrices, variables{document: map[string]any{
			"organization": members[first].organization(), "users": users, "permissions": permissions[:matrixSide],
		}})
	}
	return nil
}

// gatherGrants adds the cases of grants, each with an end of its own: what a member holds
// with the same term is not granted again.
func (c *cases) gatherGrants(members []member, roles []uuid.UUID) {
	const grants = 50_000
	first := time.Date(2081, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range grants {
		m, role, endsAt := members[rand.IntN(len(members))], roles[rand.IntN(len(roles))], first.Add(time.Duration(i)*time.Second).Format(time.RFC3339)
		c.grants = append(c.grants, variables{
			document:  map[string]any{"user": m.user(), "organization": m.organization(), "role": db.RoleID(role).String(), "endsAt": endsAt},
			statement: []string{m.Organization.String(), m.User.String(), role.String(), endsAt},
		})
	}
}

// member is a user in an organization.
type member struct {
	Organization, User uuid.UUID
	Code, Email        string
}

func (m member) user() string         { return db.UserID(m.User).String() }
func (m member) organization() string { return db.OrganizationID(m.Organization).String() }
