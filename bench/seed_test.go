package main

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/db/dbtest"
)

// TestSeedKeepsTheRules expects that the seeded rows keep the foreign keys and
// triggers, without which seed inserts them.
func TestSeedKeepsTheRules(t *testing.T) {
	t.Parallel()
	ctx, dsn := t.Context(), dbtest.DSN(t)
	if err := seed(ctx, dsn, smallSize); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	// Adding a foreign key a second time checks all rows.
	rows, err := conn.Query(ctx, `select 'alter table ' || conrelid::regclass || ' add ' || pg_get_constraintdef(oid)
		from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace`)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(texts) < 10 {
		t.Fatal(texts, err)
	}
	for _, text := range texts {
		if _, err := conn.Exec(ctx, text); err != nil {
			t.Error(err)
		}
	}
	var withoutOrganization int
	if err := conn.QueryRow(ctx, "select count(*) from users u where not exists (select from memberships m where m.user_id = u.id)").Scan(&withoutOrganization); err != nil || withoutOrganization > 0 {
		t.Errorf("%d users without an organization, %v", withoutOrganization, err)
	}
}
