package browser

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// BehindProxies returns a handler for which the client of a request is the one that the
// trusted proxies name in X-Forwarded-For, rather than the proxy that the request came
// from. What stands in the header to the left of the client's address is the client's own
// word, and is ignored; so is the header of a request that comes from elsewhere.
func BehindProxies(trusted []netip.Prefix, next http.Handler) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	isTrusted := func(ip netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client, ok := parseAddress(r.RemoteAddr)
		hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
		for _, hop := range slices.Backward(hops) {
			if !ok || !isTrusted(client) {
				break
			}
			before, known := parseAddress(strings.TrimSpace(hop))
			if !known {
				break
			}
			client = before
		}
		if ok {
			r.RemoteAddr = net.JoinHostPort(client.String(), "0")
		}
		next.ServeHTTP(w, r)
	})
}

// parseAddress returns an IP address that stands alone or, as some proxies write it, with
// a port.
func parseAddress(text string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return ip.Unmap().WithZone(""), err == nil
}
