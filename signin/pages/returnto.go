package pages

import "strings"

// maxReturnAddress is how long an address may be that browsers are sent back to, in bytes:
// it has to fit into the cookie of the flow.
const maxReturnAddress = 1500

// returnAddress returns the address if browsers may be sent there, else the empty text:
// paths of this server, and whatever is below one of the origins.
//
// It compares texts and parses nothing, so that no browser can read anything else in it
// than what was compared: an origin ends at a slash, a question mark, a hash, or the end,
// and what browsers drop or take for a slash does not occur (URL Standard, 4.4).
func (p *Pages) returnAddress(address string) string {
	if address == "" || len(address) > maxReturnAddress || strings.ContainsFunc(address, isOdd) {
		return ""
	}
	if address[0] == '/' && !strings.HasPrefix(address, "//") {
		return address
	}
	if originOf(address, p.ReturnOrigins) != "" {
		return address
	}
	return ""
}

// originOf returns the one of the origins that the address is below; empty for none.
func originOf(address string, origins []string) string {
	for _, origin := range origins {
		rest, ok := strings.CutPrefix(address, origin)
		if ok && (rest == "" || strings.ContainsRune("/?#", rune(rest[0]))) {
			return origin
		}
	}
	return ""
}

// isOdd reports whether an address has this character in another form: spaces, controls
// and everything beyond ASCII are percent-encoded, and backslashes are slashes to browsers.
func isOdd(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }
