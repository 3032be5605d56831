package oauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"roster/oauth"
	"roster/problem"
)

// Applications that are not who they say, and people who may not go where they are sent, are
// counted and logged as denied; requests that are wrong are not.
func TestDenialsOfApplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	web := w.create("WEB", nil)
	var denied []string
	o := w.Provider.Options
	o.Denied = func(_ context.Context, _ *http.Request, door string, kinds ...problem.Kind) {
		denied = append(denied, fmt.Sprint(door, kinds))
	}
	h := oauth.New(o)
	session := w.SignedIn(t, ada, "acme")
	for name, c := range map[string]struct {
		method, path string
		form         url.Values
		bearer       string
		want         string
	}{
		"a wrong secret":            {http.MethodPost, "/oauth/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {web.id}, "client_secret": {"wrong"}}, "", "oauth[UNAUTHENTICATED]"},
		"an unknown application":    {http.MethodPost, "/oauth/introspect", url.Values{"client_id": {"app_x"}, "client_secret": {"wrong"}}, "", "oauth[UNAUTHENTICATED]"},
		"a wrong code":              {http.MethodPost, "/oauth/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {web.id}, "client_secret": {web.secret}, "code": {"x"}}, "", ""},
		"a wrong access token":      {http.MethodGet, "/oauth/userinfo", nil, "x.y.z", "oauth[UNAUTHENTICATED]"},
		"an organization of others": {http.MethodGet, w.wish(web, "organization", "globex"), nil, session, "oauth[FORBIDDEN]"},
		"a request that is wrong":   {http.MethodGet, w.wish(web, "response_type", "token"), nil, session, ""},
	} {
		t.Run(name, func(t *testing.T) {
			denied = nil
			r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.form.Encode()))
			if c.form != nil {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if c.bearer != "" {
				r.Header.Set("Authorization", "Bearer "+c.bearer)
				r.AddCookie(&http.Cookie{Name: "roster", Value: c.bearer})
			}
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			if got := strings.Join(denied, " "); got != c.want {
				t.Errorf("noted is %q, want %q: %d %v %s", got, c.want, answer.Code, answer.Header(), answer.Body)
			}
		})
	}
}
