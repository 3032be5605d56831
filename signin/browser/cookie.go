package browser

import (
	"net/http"
	"time"

	"roster/problem"
	"roster/secret"
)

// Cookies are how browsers hold sessions, and what else belongs to one of them.
type Cookies struct {
	secure     bool
	protection *http.CrossOriginProtection
}

// NewCookies returns cookies that are sent by https only, if secure is true. Otherwise,
// which is for a server on the same machine, they have other names and are sent over http.
func NewCookies(secure bool) *Cookies {
	return &Cookies{secure, http.NewCrossOriginProtection()}
}

// Trust lets pages of the origin use a browser's session, besides the server's own. It
// returns an error for what is no origin. Call it before the first request.
func (c *Cookies) Trust(origin string) error { return c.protection.AddTrustedOrigin(origin) }

// session is the name of the cookie of sessions.
const session = "roster"

// Check returns FORBIDDEN if a page of another site sent the request, and the request may
// change something (CSRF).
func (c *Cookies) Check(r *http.Request) error {
	if err := c.protection.Check(r); err != nil {
		return problem.New(problem.Forbidden, "A page of another site cannot use this session.")
	}
	return nil
}

// Read returns the secret of the session in the request's cookie, or the empty one. It
// returns FORBIDDEN as Check does.
func (c *Cookies) Read(r *http.Request) (secret.Text, error) {
	value := c.Value(r, session)
	if value == "" {
		return secret.Text{}, nil
	}
	return secret.New(value), c.Check(r)
}

// Set hands the session to the browser, until it ends.
func (c *Cookies) Set(w http.ResponseWriter, shown secret.Text, until time.Time) {
	c.SetValue(w, session, shown.Reveal(), time.Until(until))
}

// Clear makes the browser forget the session.
func (c *Cookies) Clear(w http.ResponseWriter) { c.SetValue(w, session, "", 0) }

// Value returns the value of the request's cookie of that name, or the empty one.
func (c *Cookies) Value(r *http.Request, name string) string {
	cookie, err := r.Cookie(c.prefixed(name))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// SetValue hands a cookie to the browser for that long. An empty value makes the browser
// forget the cookie. Scripts cannot read it.
func (c *Cookies) SetValue(w http.ResponseWriter, name, value string, life time.Duration) {
	maxAge := max(1, int(life.Seconds()))
	if value == "" {
		maxAge = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: c.prefixed(name), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode,
	})
}

// prefixed returns the name as browsers know it. They take one that begins with __Host-
// only from this very host, over https (RFC 6265bis, 4.1.3.2).
func (c *Cookies) prefixed(name string) string {
	if c.secure {
		return "__Host-" + name
	}
	return name
}
