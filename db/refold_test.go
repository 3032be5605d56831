package db_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"roster/db"
	"roster/db/dbtest"
)

// The migration brings keys of the older rule up to the new one; where two users
// become one thereby, the newer one keeps its key, and the log names it. No
// row stops the start.
func TestMigrationFoldsAgain(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	execute := func(text string, args ...any) {
		t.Helper()
		if _, err := d.NewRaw(text, args...).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	execute("alter table users disable trigger all")
	add := func(email, key, name string) string {
		t.Helper()
		id := db.NewID[db.UserKind]()
		execute("insert into users (id, email, email_key, name, given_name, name_key, search) values (?, ?, ?, ?, ?, lower(?), ?)", id, email, key, name, name, name, "\n"+key+"\n"+name)
		return id.String()
	}
	older := add("old\u200b@x.example", "old\u200b@x.example", "Older")
	newer := add("ol\u200bd@x.example", "ol\u200bd@x.example", "Newer")
	odd := add("eve\u200b@x.example", "eve\u200b@x.example", "Odd")
	plain := add("eve@x.example", "eve@x.example", "Plain")
	encoded := add("bo@xn--bcher-kva.example", "bo@xn--bcher-kva.example", "Bo\u00ad")
	wrong := add("bo@a..b\u200b", "bo@a..b\u200b", "Wrong")
	erased := db.NewID[db.UserKind]()
	execute("insert into users (id, name, name_key, search, status, deleted_at) values (?, 'Deleted user', 'é', '', 'SUSPENDED', now())", erased)
	org := db.NewID[db.OrganizationKind]()
	execute(`insert into organizations (id, code, name, name_key, search, auto_join_domains) values (?, 'b', 'B', 'b', '', array['xn--bcher-kva.example', 'bücher.example', 'a..b'])`, org)

	var log bytes.Buffer
	if err := d.Refold(t.Context(), slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	users, err := db.Select[db.User](t.Context(), d, "select id, email_key, name_key, search from users where deleted_at is null")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		keys[u.ID.String()] = *u.EmailKey
		if u.ID.String() == encoded && (u.NameKey != "bo" || u.Search != "\nbo@bücher.example\nbo@xn--bcher-kva.example\nbo") {
			t.Errorf("name %q, search %q", u.NameKey, u.Search)
		}
	}
	for id, want := range map[string]string{
		older: "old@x.example", newer: "ol\u200bd@x.example", odd: "eve\u200b@x.example", plain: "eve@x.example", encoded: "bo@bücher.example", wrong: "bo@a..b",
	} {
		if keys[id] != want {
			t.Errorf("%s has the key %+q, want %+q", id, keys[id], want)
		}
	}
	if lines := strings.Count(log.String(), "looks like another"); lines != 2 || strings.Contains(log.String(), "x.example") || !strings.Contains(log.String(), newer) {
		t.Errorf("logged %s", log.String())
	}
	domains, err := db.Select[db.Organization](t.Context(), d, "select auto_join_domains from organizations where id = $1", org)
	if err != nil || strings.Join(domains[0].AutoJoinDomains, " ") != "bücher.example a..b" {
		t.Errorf("domains %v, %v", domains, err)
	}
}
