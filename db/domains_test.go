package db_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"roster/db"
	"roster/db/dbtest"
)

// A domain that several organizations have is left to the oldest one by the migration,
// which names the others in the log.
func TestMigrationLeavesADomainToOne(t *testing.T) {
	t.Parallel()
	d := open(t, dbtest.EmptyDSN(t), db.Options{})
	must(t, d.MigrateTo(t.Context(), slog.New(slog.DiscardHandler), 10))
	for _, o := range []struct{ code, created, domains, deleted string }{
		{"newer", "2020-02-02", "{a.example,b.example,bücher.example}", "null"},
		{"older", "2020-01-01", "{c.example,bücher.example,a.example}", "null"},
		{"deleted", "2019-01-01", "{a.example}", "now()"},
	} {
		_, err := d.NewRaw("insert into organizations (id, code, name, name_key, search, auto_join_domains, created_at, deleted_at) values (gen_random_uuid(), ?0, ?0, ?0, '', ?1, ?2, "+o.deleted+")", o.code, o.domains, o.created).Exec(t.Context())
		must(t, err)
	}
	var log bytes.Buffer
	_, err := d.Migrate(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)
	left, err := db.Select[string](t.Context(), d, `select code || ' ' || array_to_string(auto_join_domains, ' ') || ', ' || coalesce(string_agg(domain, ' ' order by domain), '')
		from organizations o left join organization_domains d on d.org_id = o.id where deleted_at is null group by o.id order by code`)
	must(t, err)
	if got, want := strings.Join(left, "; "), "newer b.example, b.example; older c.example bücher.example a.example, a.example bücher.example c.example"; got != want {
		t.Errorf("left %q\nwant %q", got, want)
	}
	if text := log.String(); strings.Count(text, "level=WARN") != 2 || !strings.Contains(text, "the domain a.example leads to") || !strings.Contains(text, "bücher.example leads to") || strings.Count(text, "(newer)") != 2 {
		t.Errorf("logged %s", text)
	}
}
