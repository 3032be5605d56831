// Package browser is what doors have in common with each other when clients come to sign
// in: how a request becomes a visit, and how browsers hold what they are given.
//
// Begin with Visit and Cookies.
package browser

import (
	"net"
	"net/http"
	"net/netip"

	"roster/signin"
)

// Visit returns the visit that the request is. It is one of a browser if isPage is true:
// then a page sent it, which must not learn the secret of a session.
func Visit(r *http.Request, isPage bool) *signin.Visit {
	return &signin.Visit{Address: address(r), UserAgent: r.Header.Get("User-Agent"), Browser: isPage}
}

// Source returns the addresses that count as one client with the one that sent the
// request. As long as nothing else is known of the client, they hold its share of the
// server.
func Source(r *http.Request) netip.Prefix { return signin.SourceOf(address(r)) }

// address returns the IP address of the client, in text form.
func address(r *http.Request) string {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return address
}

// End hands the browser the session that the visit has started, or takes the one that it
// has ended. Call it before the answer is written.
func (c *Cookies) End(w http.ResponseWriter, v *signin.Visit) {
	switch {
	case v.Started != nil && v.Browser:
		c.Set(w, v.Secret, v.Started.ExpiresAt)
	case v.Ended && v.Browser:
		c.Clear(w)
	}
}
