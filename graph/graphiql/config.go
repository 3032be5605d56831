package graphiql

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// config is what the page asks for when it starts. It comes apart from the page
// so that nothing which may be cached ever holds a key.
type config struct {
	Endpoint string `json:"endpoint"`
	// Headers are sent with every request, until the user edits them.
	Headers  map[string]string `json:"headers"`
	Examples []Example         `json:"examples"`
}

// serveConfig answers the page itself and nobody else's page. To a caller who
// may not have the administrator's key it answers without.
func (o Options) serveConfig(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	if !sameOrigin(r) {
		http.Error(w, "only the playground itself may read this", http.StatusForbidden)
		return
	}
	c := config{Endpoint: o.Endpoint, Headers: map[string]string{}, Examples: o.Examples}
	if !o.AdminKey.Empty() && fromThisMachine(r) {
		c.Headers["Authorization"] = "Bearer " + o.AdminKey.Reveal()
	}
	h.Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(c) // What fails here is the connection: nobody is left to tell.
}

// sameOrigin reports whether no browser says that another site's page is asking.
// Browsers that do not send Sec-Fetch-Site still send Origin when they are asked
// to let another origin read the answer.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

// fromThisMachine reports whether the request was made on this machine and
// addressed to it by a loopback name. The name stops DNS rebinding, where
// another site's own name is pointed at this server; the address stops those
// who merely claim the name; the headers give away a proxy.
func fromThisMachine(r *http.Request) bool {
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback() && loopbackName(r.Host)
}

// loopbackName reports whether host, with or without a port, can only mean the
// machine on which it is used.
func loopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
