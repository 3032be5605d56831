package transfer_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// PostgreSQL keeps plans that it made for empty tables. In a new database, nothing that is done
// once for each user may then read all of a table, nor what others do afterwards: what is read
// in all grows with the users, not with their square.
func TestNewDatabasesAreNotScanned(t *testing.T) {
	t.Parallel()
	dsn := dbtest.DSN(t)
	s := graphtest.Over(t, dbtest.Open(t, dsn))
	s.WorkOnImports(t)
	const one, many = 100, 5000
	look := func() { s.Ask(t, `{ user(by: {email: "u0@example.com"}) { id } }`) }
	for i := range one {
		if i == 1 {
			look() // others have plans, too
		}
		s.Ask(t, fmt.Sprintf(`mutation { createUser(input: {email: "u%d@example.com"}) { user { id } } }`, i))
	}
	var file strings.Builder
	file.WriteString("email,id,first_name\n")
	for i := range many {
		fmt.Fprintf(&file, "p%d@example.com,x%d,Given%d\n", i, i, i)
	}
	id := s.Plan(t, graphtest.Object{}, "people.csv", file.String())
	s.Carry(t, "applyImport", id, "APPLIED")
	for range 500 {
		look()
	}
	s.Plan(t, graphtest.Object{"onConflict": "UPDATE"}, "again.csv", file.String())
	s.Carry(t, "undoImport", id, "UNDONE")

	s.Directory.Close()
	graphtest.Must(t, s.Database.Close()) // connections count what they have read when they end
	c, err := pgx.Connect(t.Context(), dsn)
	graphtest.Must(t, err)
	defer c.Close(t.Context())
	var table string
	var read int64
	graphtest.Must(t, c.QueryRow(t.Context(), "select relname::text, seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables order by 2 desc limit 1").Scan(&table, &read))
	const most = 200 * (one + many) // the square is 25 times that
	if read > most {
		t.Errorf("%d rows of %s were read", read, table)
	}
}
