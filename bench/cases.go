package main

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"roster/db"
)

// cases holds the variables of the requests.
type cases struct {
	// One for every user, and for every page.
	users, userPages, memberPages []variables
	// checks and named ask about one membership, batches and matrices about many.
	checks, named, batches, matrices []variables
	// One for each of some memberships.
	grants []variables
}

// gatherCases returns the cases for the business in the database. To find the
// cursors, it reads all pages from Roster, which warms Roster's memory as in a
// server that has run for a while.
func gatherCases(ctx context.Context, dsn string, roster *process) (*cases, error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	c := &cases{}
	users, err := selectIDs(ctx, conn, "select id from users")
	if err != nil {
		return nil, err
	}
	for _, id := range users {
		c.users = append(c.users, variables{document: map[string]any{"id": db.UserID(id).String()}, statement: []string{id.String()}})
	}
	organizations, err := selectIDs(ctx, conn, "select id from organizations")
	if err != nil {
		return nil, err
	}
	if c.userPages, err = walkUsers(ctx, roster); err != nil {
		return nil, err
	}
	pages := make([][]variables, len(organizations))
	var walks errgroup.Group
	walks.SetLimit(8)
	for i, id := range organizations {
		walks.Go(func() (err error) {
			pages[i], err = walkMembers(ctx, roster, id)
			return err
		})
	}
	err = walks.Wait()
	if err != nil {
		return nil, err
	}
	c.memberPages = slices.Concat(pages...)
	if err := c.gatherChecks(ctx, conn); err != nil {
		return nil, err
	}
	return c, nil
}

func selectIDs(ctx context.Context, conn *pgx.Conn, text string) ([]uuid.UUID, error) {
	rows, err := conn.Query(ctx, text)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// position is the end of a page, for Roster and for SQL.
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

// walkUsers returns the variables of each page of users but the first, by the end of
// the page before it.
func walkUsers(ctx context.Context, roster *process) (pages []variables, err error) {
	const document = `query ($after: String) { users(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { id createdAt memberships { nodes { roles { key } } } } } }`
	var after *string
	for {
		var page struct{ Users position }
		if err := roster.ask(ctx, document, map[string]any{"after": after}, &page); err != nil {
			return nil, err
		}
		if !page.Users.PageInfo.HasNextPage {
			return pages, nil
		}
		after = &page.Users.PageInfo.EndCursor
		last := page.Users.Nodes[len(page.Users.Nodes)-1]
		id, err := db.ParseID[db.UserKind](last.ID)
		if err != nil {
			return nil, err
		}
		pages = append(pages, variables{
			document:  map[string]any{"after": *after},
			statement: []string{last.CreatedAt.Format(time.RFC3339Nano), uuid.UUID(id).String()},
		})
	}
}

// walkMembers returns the variables of each page of an organization's members but
// the first, by the end of the page before it.
func walkMembers(ctx context.Context, roster *process, org uuid.UUID) (pages []variables, err error) {
	const document = `query ($id: ID!, $after: String) { organization(by: {id: $id}) {
		members(first: 100, after: $after) { pageInfo { hasNextPage endCursor } nodes { id joinedAt } } } }`
	name := db.OrganizationID(org).String()
	var after *string
	for {
		var page struct{ Organization struct{ Members position } }
		if err := roster.ask(ctx, document, map[string]any{"id": name, "after": after}, &page); err != nil {
			return nil, err
		}
		members := page.Organization.Members
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
			document:  map[string]any{"id": name, "after": *after},
			statement: []string{org.String(), last.JoinedAt.Format(time.RFC3339Nano), uuid.UUID(id).String()},
		})
	}
}
