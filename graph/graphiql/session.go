package graphiql

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"roster/secret"
)

// sessionTime is how long a session lasts: a day of work.
const sessionTime = 12 * time.Hour

// pageHeader carries the page's half of a session.
const pageHeader = "Roster-Playground"

// Sessions lets one browser act as the administrator without ever seeing the
// administrator's key.
//
//	Link                   a one-time token in the fragment, which browsers send to nobody
//	POST /graphiql/session the page sends the token, which ends here, and gets a session
//	Wrap                   a request of the session is sent on with the key
//
// A session has two halves, and counts only with both. Scripts cannot read the
// cookie. The page keeps the other half for its own origin: browsers send cookies
// to every port of a machine, also to another account's server. No page of another
// origin can send the header without a preflight, which is not granted to it.
//
// A session is in memory only: it ends after sessionTime, with the key, or with the
// server.
type Sessions struct {
	key secret.Text

	mu           sync.Mutex
	token        string // empty after its first use
	cookie, page string // the two halves; empty before there is a session
	ends         time.Time
}

// NewSessions returns the sessions of a server whose administrator's key is key,
// with a new token.
func NewSessions(key secret.Text) *Sessions {
	return &Sessions{key: key, token: rand.Text()}
}

// Link returns the address of the page at base, such as http://localhost:8080, that
// opens a session the first time that a browser follows it.
func (s *Sessions) Link(base string) string { return base + "/#token=" + url.QueryEscape(s.token) }

// ServeHTTP exchanges the token for a session. It accepts the token once.
func (s *Sessions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	var sent struct{ Token string }
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		http.Error(w, "Only the playground itself may open a session.", http.StatusForbidden)
		return
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&sent); err != nil {
		http.Error(w, "Send {\"token\": …}.", http.StatusBadRequest)
		return
	}
	cookie, page, ok := s.open(sent.Token)
	if !ok {
		http.Error(w, "The link was used before, or is of an earlier start of the server.", http.StatusForbidden)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: cookie, Path: "/", MaxAge: int(sessionTime.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: strings.HasPrefix(r.Header.Get("Origin"), "https:"),
	})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"session": page}) // only the connection can fail
}

// open starts a session, unless the token is wrong or was used before.
func (s *Sessions) open(token string) (cookie, page string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !equal(token, s.token) {
		return "", "", false
	}
	s.token, s.cookie, s.page, s.ends = "", rand.Text(), rand.Text(), time.Now().Add(sessionTime)
	return s.cookie, s.page, true
}

// Wrap returns a handler that sends requests of the session on to api with the
// administrator's key. Every other request, and one with a credential of its own,
// is sent on as it is.
func (s *Sessions) Wrap(api http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := r.Header.Get(pageHeader)
		if page != "" && r.Method == http.MethodPost && len(r.Header["Authorization"]) == 0 && sameOrigin.Check(r) == nil && s.holds(r, page) {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+s.key.Reveal())
		}
		api.ServeHTTP(w, r)
	})
}

// holds reports whether the request has both halves of the session.
func (s *Sessions) holds(r *http.Request, page string) bool {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.ends) && equal(page, s.page) && equal(cookie.Value, s.cookie)
}

// equal compares secrets, of which an empty one equals nothing.
func equal(sent, kept string) bool {
	return kept != "" && subtle.ConstantTimeCompare([]byte(sent), []byte(kept)) == 1
}

// cookieName returns a name of its own for each port, since servers on one machine
// share their cookies.
func cookieName(r *http.Request) string {
	name := "roster-playground"
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		name += "-" + port
	}
	return name
}
