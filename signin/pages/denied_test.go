package pages_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roster/graph/graphtest"
	"roster/problem"
	"roster/signin/pages"
)

// Whoever is not let in by the pages is counted and logged as denied.
func TestDenialsOfPages(t *testing.T) {
	t.Parallel()
	b, _ := business(t)
	var denied []string
	o := b.Pages.Options
	o.Denied = func(_ context.Context, _ *http.Request, door string, kinds ...problem.Kind) {
		denied = append(denied, fmt.Sprint(door, kinds))
	}
	web := httptest.NewServer(pages.New(o))
	t.Cleanup(web.Close)
	v := newVisitor(t, web.URL)
	note := func(want string, do func() *answer) {
		t.Helper()
		denied = nil
		if a := do(); !strings.Contains(strings.Join(denied, " "), want) {
			t.Errorf("noted is %v, want %s: %d %s", denied, want, a.status, a.body)
		}
	}
	note("pages[UNAUTHENTICATED]", func() *answer { return v.post("/signin", "account", ada, "password", "a wrong password") })
	note("pages[INVALID]", func() *answer { return v.post("/signin/signup", "email", "no address", "password", graphtest.Password) })
	note("pages[LIMITED]", func() (a *answer) {
		for range 30 {
			a = v.post("/signin", "account", ada, "password", "a wrong password")
		}
		return a
	})
}
