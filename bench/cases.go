package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"roster/db"
)

// cases are the variables to ask with: every user, every page.
type cases struct {
	users, userPages, memberPages []variables
	// checks and named ask about one place, batches and matrices about many.
	checks, named, batches, matrices []variables
}

// gather reads the ids, and walks all pages of Roster for the cursors behind
// which the pages begin. On the way Roster sees every membership once, as a
// server does that has run for a while, and remembers those that it has room for.
func gather(ctx context.Context, dsn string, roster *process) (*cases, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	c := &cases{}
	users, err := ids(ctx, conn, "select id from users")
	if err != nil {
		return nil, err
	}
	for _, id := range users {
		c.users = append(c.users, variables{map[string]any{"id": db.UserID(id).String()}, []string{id.String()}})
	}
	organizations, err := ids(ctx, conn, "select id from organizations")
	if err != nil {
		return nil, err
	}
	if c.userPages, err = userPages(ctx, roster); err != nil {
		return nil, err
	}
	pages := make([][]variables, len(organizations))
	var walks errgroup.Group
	walks.SetLimit(8)
	for i, id := range organizations {
		walks.Go(func() (err error) {
			pages[i], err = memberPages(ctx, roster, id)
			return err
		})
	}
	err = walks.Wait()
	for _, of := range pages {
		c.memberPages = append(c.memberPages, of...)
	}
	if err != nil {
		return nil, err
	}
	if err := c.gatherChecks(ctx, conn); err != nil {
		return nil, err
	}
	return c, nil
}

func ids(ctx context.Context, conn *pgx.Conn, text string) ([]uuid.UUID, error) {
	rows, err := conn.Query(ctx, text)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// position is where a page ends, for Roster and for SQL.
type position struct {
	PageInfo struct {
		HasNextPage bool
		EndCursor   string
	}
	Nodes []struct {
		ID                  string
		CreatedAt, JoinedAt time.Time
	}
}

func userPages(ctx context.Context, roster *process) (pages []variables, err error) {
	const document = `query ($after: String) { users(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { id createdAt memberships { nodes { roles { key } } } } } }`
	var after *string
	for {
		var found struct{ Users position }
		if err := roster.ask(ctx, document, map[string]any{"after": after}, &found); err != nil {
			return nil, err
		}
		if !found.Users.PageInfo.HasNextPage {
			return pages, nil
		}
		after = &found.Users.PageInfo.EndCursor
		last := found.Users.Nodes[len(found.Users.Nodes)-1]
		id, err := db.ParseID[db.UserKind](last.ID)
		if err != nil {
			return nil, err
		}
		pages = append(pages, variables{
			map[string]any{"after": *after}, []string{last.CreatedAt.Format(time.RFC3339Nano), uuid.UUID(id).String()},
		})
	}
}

func memberPages(ctx context.Context, roster *process, org uuid.UUID) (pages []variables, err error) {
	const document = `query ($id: ID!, $after: String) { organization(by: {id: $id}) {
		members(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { id joinedAt } } } }`
	name := db.OrganizationID(org).String()
	var after *string
	for {
		var found struct{ Organization struct{ Members position } }
		if err := roster.ask(ctx, document, map[string]any{"id": name, "after": after}, &found); err != nil {
			return nil, err
		}
		members := found.Organization.Members
		if !members.PageInfo.HasNextPage {
			return pages, nil
		}
		after = &members.PageInfo.EndCursor
		last := members.Nodes[len(members.Nodes)-1]
		id, err := db.ParseID[db.MembershipKind](last.ID)
		if err != nil {
			return nil, err
		}
		pages = append(pages, variables{
			map[string]any{"id": name, "after": *after},
			[]string{org.String(), last.JoinedAt.Format(time.RFC3339Nano), uuid.UUID(id).String()},
		})
	}
}
