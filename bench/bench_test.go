package main

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roster/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var smallSize = size{users: 2_000, organizations: 10, roles: 20, permissions: 200, rolePermissions: 25}

// testBundle holds both servers over a small business, and the cases to ask them.
type testBundle struct {
	handlers      map[string]http.Handler
	plain, roster *process
	cases         *cases
}

func setup(t testing.TB) *testBundle {
	t.Helper()
	c := &child{dsn: dbtest.DSN(t)}
	if err := seed(t.Context(), c.dsn, smallSize); err != nil {
		t.Fatal(err)
	}
	b := &testBundle{handlers: map[string]http.Handler{}}
	start := func(name string) *process {
		serve := map[string]starter{"roster": c.roster, "plain": c.plain}[name]
		handler, stop, err := serve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		b.handlers[name] = handler
		return &process{name: name, addr: strings.TrimPrefix(server.URL, "http://")}
	}
	b.plain, b.roster = start("plain"), start("roster")
	cases, err := gatherCases(t.Context(), c.dsn, b.roster)
	if err != nil {
		t.Fatal(err)
	}
	b.cases = cases
	return b
}

// TestAnswersAgree expects the same answers from Roster and the plain handler:
// otherwise their ratio means nothing.
func TestAnswersAgree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, q := range queries {
		t.Run(q.name, func(t *testing.T) {
			t.Parallel()
			if n := len(q.cases(b.cases)); n < 15 {
				t.Errorf("only %d cases", n)
			}
			if err := compare(t.Context(), q, b.cases, b.plain, b.roster); err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkHandler measures one request after the other, without a network.
func BenchmarkHandler(b *testing.B) {
	bundle := setup(b)
	for _, q := range queries {
		for _, server := range []*process{bundle.roster, bundle.plain} {
			b.Run(q.name+"/"+server.name, func(b *testing.B) {
				cases := q.cases(bundle.cases)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(server.request(q, cases[i%len(cases)]))))
					if err != nil {
						b.Fatal(err)
					}
					answer := httptest.NewRecorder()
					bundle.handlers[server.name].ServeHTTP(answer, request)
					if answer.Code != http.StatusOK {
						b.Fatal(answer.Body)
					}
				}
			})
		}
	}
}
