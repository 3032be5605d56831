package graphiql

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roster/secret"
)

const testKey = "rk_0123456789abcdef0123456789abcdef"

func newSessions() *Sessions { return NewSessions(secret.New(testKey)) }

// exchange sends a token as the page does, after change has edited the request.
func exchange(s *Sessions, token string, change func(*http.Request)) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "/graphiql/session", strings.NewReader(`{"token":"`+token+`"}`))
	r.Host = "localhost:8080"
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	Handler(Options{Sessions: s}).ServeHTTP(w, r)
	return w.Result()
}

// opened returns the cookie and the page's half of a new session.
func opened(t *testing.T, s *Sessions) (*http.Cookie, string) {
	t.Helper()
	_, token, _ := strings.Cut(s.Link("http://localhost:8080"), "#token=")
	answer := exchange(s, token, nil)
	var body struct{ Session string }
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil || answer.StatusCode != http.StatusOK || len(answer.Cookies()) != 1 || body.Session == "" {
		t.Fatalf("the exchange answers %d, %v", answer.StatusCode, err)
	}
	return answer.Cookies()[0], body.Session
}

func TestLinkWorksOnce(t *testing.T) {
	t.Parallel()
	s := newSessions()
	token := s.token
	for name, change := range map[string]func(*http.Request){
		"a page of another site":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a page of another port":   func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"an old browser elsewhere": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "http://evil.example") },
		"another token":            func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"token":"x"}`)) },
		"no token":                 func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{}`)) },
		"no JSON":                  func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`token`)) },
	} {
		t.Run(name, func(t *testing.T) {
			if answer := exchange(s, token, change); answer.StatusCode < 400 || len(answer.Cookies()) > 0 {
				t.Errorf("%s: %d %v", name, answer.StatusCode, answer.Cookies())
			}
		})
	}
	cookie, page := opened(t, s)
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Secure || cookie.Value == page {
		t.Errorf("the cookie is %v", cookie)
	}
	for _, used := range []string{token, ""} {
		if answer := exchange(s, used, nil); answer.StatusCode != http.StatusForbidden {
			t.Errorf("the second use of %q answers %d", used, answer.StatusCode)
		}
	}
	if answer := exchange(newSessions(), token, nil); answer.StatusCode != http.StatusForbidden {
		t.Errorf("after a restart: %d", answer.StatusCode)
	}
}

func TestSecureCookieOverTLS(t *testing.T) {
	t.Parallel()
	s := newSessions()
	answer := exchange(s, s.token, func(r *http.Request) { r.Header.Set("Origin", "https://accounts.example.com") })
	if all := answer.Cookies(); len(all) != 1 || !all[0].Secure {
		t.Errorf("cookies: %v", all)
	}
}

// TestSessionCountsWithBothHalves expects that the administrator's key is added to
// the requests of the page in its browser, and to no other.
func TestSessionCountsWithBothHalves(t *testing.T) {
	t.Parallel()
	const own = "Bearer rk_of-the-request"
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"the page":              {func(*http.Request) {}, "Bearer " + testKey},
		"without Sec-Fetch":     {func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, "Bearer " + testKey},
		"with a key of its own": {func(r *http.Request) { r.Header.Set("Authorization", own) }, own},
		"no cookie":             {func(r *http.Request) { r.Header.Del("Cookie") }, ""},
		"another cookie":        {func(r *http.Request) { r.Header.Set("Cookie", "roster-playground-8080=x") }, ""},
		"the cookie alone":      {func(r *http.Request) { r.Header.Del(pageHeader) }, ""},
		"another header":        {func(r *http.Request) { r.Header.Set(pageHeader, "1") }, ""},
		"cross-site":            {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, ""},
		"same-site":             {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, ""},
		"another origin": {func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "http://localhost:3000")
		}, ""},
		"by GET": {func(r *http.Request) { r.Method = http.MethodGet }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSessions()
			cookie, page := opened(t, s)
			if got := authorization(s, cookie, page, c.change); got != c.want {
				t.Errorf("sent on with %q, want %q", got, c.want)
			}
			if c.want == "" {
				return
			}
			s.ends = time.Now() // it is over
			if got := authorization(s, cookie, page, c.change); got == "Bearer "+testKey {
				t.Error("a session never ends")
			}
		})
	}
	if got := authorization(newSessions(), &http.Cookie{Name: "roster-playground-8080"}, "", func(*http.Request) {}); got != "" {
		t.Errorf("without a session: %q", got)
	}
}

// authorization returns the credential with which a request of the page reaches the
// API, after change has edited the request.
func authorization(s *Sessions, cookie *http.Cookie, page string, change func(*http.Request)) (got string) {
	r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
	r.Host = "localhost:8080"
	r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	r.Header.Set(pageHeader, page)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	change(r)
	s.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") })).ServeHTTP(httptest.NewRecorder(), r)
	return got
}
