package graphtest

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"roster/db"
)

// State returns a hash of each table's rows.
func (b *Server) State(t testing.TB) map[string]string {
	t.Helper()
	tables := Rows[string](t, b, "select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'")
	state := map[string]string{}
	for _, table := range tables {
		row := "t::text"
		if table == "api_keys" { // that a key was used is no change
			row = "(to_jsonb(t) - 'last_used_at')::text"
		}
		state[table] = Rows[string](t, b, "select coalesce(md5(string_agg("+row+", e'\\n' order by "+row+")), 'empty') from "+table+" t")[0]
	}
	return state
}

// Unchanged reports an error for each table that is not as it was before.
func (b *Server) Unchanged(t testing.TB, before map[string]string) bool {
	t.Helper()
	after := b.State(t)
	for _, table := range slices.Sorted(maps.Keys(after)) {
		if after[table] != before[table] {
			t.Errorf("%s was written to", table)
		}
	}
	return maps.Equal(before, after)
}

// Rows reads rows with arguments $1, $2, ….
func Rows[T any](t testing.TB, b *Server, text string, args ...any) []T {
	t.Helper()
	all, err := db.Select[T](t.Context(), b.Database, text, args...)
	Must(t, err)
	return all
}

// Execute changes rows without the directory. It waits longer for locks than the server does:
// on a busy machine, what was cut off keeps them for a while.
func (b *Server) Execute(t testing.TB, text string, args ...any) {
	t.Helper()
	Must(t, b.Database.InTx(t.Context(), func(ctx context.Context, tx bun.IDB) error {
		if _, err := tx.ExecContext(ctx, "set local lock_timeout = '1min'"); err != nil {
			return err
		}
		_, err := tx.NewRaw(text, args...).Exec(ctx)
		return err
	}))
}

// Search returns the tables and columns that contain a text, in whatever form.
func (b *Server) Search(t testing.TB, text string) []string {
	t.Helper()
	var where []string
	for _, c := range Rows[struct{ Name, Expression string }](t, b, `select table_name || '.' || column_name as name,
		'select count(*) from ' || table_name || ' where position(lower($1) in lower(' || case data_type when 'bytea'
			then 'encode(' || column_name || ', ''escape'')' else column_name || '::text' end || ')) > 0' as expression
		from information_schema.columns where table_schema = 'public'`) {
		if Rows[int](t, b, c.Expression, text)[0] > 0 {
			where = append(where, c.Name)
		}
	}
	return where
}

// Must fails the test if err is not nil.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ParseJSON returns a JSON value.
func ParseJSON(t testing.TB, text string) any {
	t.Helper()
	var v any
	Must(t, json.Unmarshal([]byte(text), &v))
	return v
}

// LoadSchema reads the schema that the files make together.
func LoadSchema(t testing.TB, paths ...string) *ast.Schema {
	t.Helper()
	sources := make([]*ast.Source, len(paths))
	for i, path := range paths {
		text, err := os.ReadFile(path)
		Must(t, err)
		sources[i] = &ast.Source{Name: path, Input: string(text)}
	}
	schema, err := gqlparser.LoadSchema(sources...)
	Must(t, err)
	return schema
}

// Eventually waits until the condition holds, and fails the test if it does not
// within the time.
func Eventually(t testing.TB, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
