package graphiql

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// config is what the page requests when it starts. It is separate from the page, so
// that nothing that may be cached ever contains a key.
type config struct {
	Endpoint string `json:"endpoint"`
	// Headers holds the headers of every request, until the user edits them.
	Headers  map[string]string `json:"headers"`
	Examples []Example         `json:"examples"`
}

// serveConfig answers the page itself, and refuses pages of other sites. It omits the
// administrator's key unless the caller is on this machine.
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
	_ = json.NewEncoder(w).Encode(c) // only the connection can fail
}

// sameOrigin reports whether the request has no sign that it comes from a page of
// another site. Browsers that do not send Sec-Fetch-Site still send Origin if
// another origin wants to read the answer.
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
// addressed to it by a loopback name. The name stops DNS rebinding, by which another
// site's name resolves to this server. The address stops callers elsewhere that
// claim the name. The headers reveal a proxy.
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
