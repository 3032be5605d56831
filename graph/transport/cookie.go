package transport

import (
	"net/http"
	"time"

	"roster/problem"
	"roster/secret"
)

// Cookies are how browsers hold sessions.
type Cookies struct {
	// Secure is true if browsers reach this server by https. Without it, which is for a
	// server on the same machine, the cookie has another name and is sent over http.
	Secure bool
	// TrustedOrigins are the origins whose pages may use a browser's session, besides
	// the server's own: those of CORS.
	TrustedOrigins []string

	protection *http.CrossOriginProtection
}

// Prepare reads the trusted origins. Call it before anything else.
func (c *Cookies) Prepare() error {
	c.protection = http.NewCrossOriginProtection()
	for _, origin := range c.TrustedOrigins {
		if err := c.protection.AddTrustedOrigin(origin); err != nil {
			return err
		}
	}
	return nil
}

// name returns the name of the cookie. Browsers take one that begins with __Host- only
// from this very host, over https (RFC 6265bis, 4.1.3.2).
func (c *Cookies) name() string {
	if c.Secure {
		return "__Host-roster"
	}
	return "roster"
}

// Read returns the secret of the session in the request's cookie, or the empty one. It
// returns FORBIDDEN if a page of another site sent the request (CSRF).
func (c *Cookies) Read(r *http.Request) (secret.Text, error) {
	cookie, err := r.Cookie(c.name())
	if err != nil || cookie.Value == "" {
		return secret.Text{}, nil
	}
	if err := c.protection.Check(r); err != nil {
		return secret.Text{}, problem.New(problem.Forbidden, "A page of another site cannot use this session.")
	}
	return secret.New(cookie.Value), nil
}

// Set gives the session to the browser, until it ends.
func (c *Cookies) Set(w http.ResponseWriter, session secret.Text, until time.Time) {
	c.write(w, session.Reveal(), max(1, int(time.Until(until).Seconds())))
}

// Clear makes the browser forget the session.
func (c *Cookies) Clear(w http.ResponseWriter) { c.write(w, "", -1) }

func (c *Cookies) write(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: c.name(), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: c.Secure, SameSite: http.SameSiteLaxMode})
}
