package embedded_test

import (
	"errors"
	"strings"
	"testing"
)

// Statements contain personal data: they must not be logged.
func TestLogLevels(t *testing.T) {
	t.Parallel()
	b := setup(t).withCluster()
	s := b.start()
	b.exec(s, "create table people (email text unique)", "insert into people values ('ann@example.com')")
	conn := b.connect(s)
	for _, statement := range []string{
		"insert into people values ('ann@example.com')",
		"select pg_terminate_backend(pg_backend_pid())",
	} {
		if _, err := conn.Exec(t.Context(), statement); err == nil {
			t.Fatalf("%s: no error", statement)
		}
	}
	for _, want := range []string{
		`level=DEBUG msg="PostgreSQL: duplicate key value violates`,
		`level=WARN msg="PostgreSQL: terminating connection`,
	} {
		eventually(t, func() error {
			if !strings.Contains(b.log.String(), want) {
				return errors.New("the log lacks " + want + ":\n" + b.log.String())
			}
			return nil
		})
	}
	if strings.Contains(b.log.String(), "ann@") {
		t.Errorf("personal data is logged:\n%s", b.log)
	}
	b.stop(s)
	if strings.Count(b.log.String(), "level=WARN") != 1 {
		t.Errorf("warnings about an orderly stop:\n%s", b.log)
	}
}
