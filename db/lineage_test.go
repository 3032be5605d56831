package db_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"roster/db"
	"roster/db/dbtest"
)

// The migration puts each key under the one that made it, and under the business if that
// one is gone, which the log says. No key stops working by it; the log names keys that
// will end with their makers.
func TestMigrationGivesLineage(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	ids := map[string]db.APIKeyID{}
	for _, k := range []struct {
		name, madeBy       string
		expires, revokedAt *time.Time
	}{
		{name: "setup"}, {name: "of setup", madeBy: "setup"}, {name: "child", madeBy: "of setup"}, {name: "grandchild", madeBy: "child"},
		{name: "revoked", madeBy: "child", revokedAt: &past}, {name: "orphan", madeBy: "revoked"}, {name: "orphan's child", madeBy: "orphan"},
		{name: "expired", madeBy: "child", expires: &past}, {name: "orphan of time", madeBy: "expired"}, {name: "revoked orphan", madeBy: "revoked", revokedAt: &past},
		{name: "ending", madeBy: "child", expires: &soon}, {name: "ending later", madeBy: "ending"}, {name: "ending too", madeBy: "ending", expires: &soon},
		{name: "lost", madeBy: "nothing"},
	} {
		by := "system:setup"
		if k.madeBy == "nothing" {
			by = db.NewID[db.APIKeyKind]().String()
		} else if k.madeBy != "" {
			by = ids[k.madeBy].String()
		}
		row := db.APIKey{ID: db.NewID[db.APIKeyKind](), Name: k.name, Prefix: k.name, Hash: []byte(k.name), CreatedAt: past, CreatedBy: by, ExpiresAt: k.expires, RevokedAt: k.revokedAt}
		ids[k.name] = row.ID
		if _, err := d.NewInsert().Model(&row).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	if err := d.GiveLineage(t.Context(), slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Select[db.APIKey](t.Context(), d, "select * from api_keys")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"child": "of setup", "grandchild": "child", "orphan's child": "orphan", "ending": "child", "ending later": "ending", "ending too": "ending",
	}
	for _, row := range rows {
		switch responsible, has := want[row.Name]; {
		case has != (row.ResponsibleID != nil), has && *row.ResponsibleID != ids[responsible]:
			t.Errorf("%v answers for %s, want %q", row.ResponsibleID, row.Name, responsible)
		}
	}
	logged := log.String()
	for name, id := range ids {
		said := ""
		for line := range strings.Lines(logged) {
			if strings.Contains(line, id.String()) {
				said += line
			}
		}
		wanted := map[string]string{"orphan": "is gone", "orphan of time": "is gone", "lost": "is gone", "ending later": "ends when"}[name]
		if (wanted == "") != (said == "") || !strings.Contains(said, wanted) {
			t.Errorf("of %s the log says %q, want %q", name, said, wanted)
		}
	}
}
