package egress

import "net/netip"

// reserved are the networks that look public and are not: the registries of special
// purpose addresses of IANA (RFC 6890), without those that netip.Addr knows by itself.
var reserved = parsePrefixes(
	"0.0.0.0/8",       // this network
	"100.64.0.0/10",   // shared by the customers of a carrier
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"240.0.0.0/4",     // future use, broadcast
	"2001::/23",       // protocol assignments: Teredo, ORCHID
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4: an IPv4 address inside
	"3fff::/20",       // documentation
)

var (
	// unicast6 is what IPv6 has of public addresses.
	unicast6 = netip.MustParsePrefix("2000::/3")
	// nat64 leads to IPv4 from networks that speak IPv6 only (RFC 6052).
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

func parsePrefixes(texts ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}

// IsLoopback reports whether a host, as it stands in an address without its port, is the
// machine itself.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// isPublic reports whether everybody on the internet reaches the same machine at an
// address.
func isPublic(address netip.Addr) bool {
	address = address.Unmap()
	if nat64.Contains(address) {
		bytes := address.As16()
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	if address.Is6() && !unicast6.Contains(address) || !address.IsGlobalUnicast() || address.IsPrivate() {
		return false
	}
	for _, prefix := range reserved {
		if prefix.Contains(address) {
			return false
		}
	}
	return true
}
