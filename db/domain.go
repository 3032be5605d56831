package db

import (
	"errors"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// idnaProfile maps and checks host names by UTS 46, without the exceptions for
// IDNA 2003. Hyphens at the third and fourth place are in use, although the
// standard keeps them for itself.
var idnaProfile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.VerifyDNSLength(true), idna.CheckHyphens(false))

var errNotADomain = errors.New("not a domain")

// Domain returns the form in which domains are compared, in Unicode:
// "XN--BCHER-KVA.example" and "bücher。example" are "bücher.example". It fails on
// text that is not a host name (IDNA 2008, RFC 1123), and on a dot at the end.
func Domain(name string) (string, error) {
	ascii, err := idnaProfile.ToASCII(name)
	if err != nil {
		return "", err
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return "", errNotADomain
		}
	}
	domain, err := idnaProfile.ToUnicode(ascii)
	if strings.ContainsFunc(domain, unicode.IsSymbol) { // which UTS 46 leaves to IDNA 2008
		return "", errNotADomain
	}
	return domain, err
}

// EmailKey returns the form in which email addresses are compared: the part
// before the @ folded, the domain as Domain has it. Text that is not an address is
// folded as a whole.
func EmailKey(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || isPlain(address) && !strings.Contains(address, "xn--") {
		return Fold(address)
	}
	domain, err := Domain(address[at+1:])
	if err != nil {
		return Fold(address)
	}
	return Fold(address[:at]) + "@" + domain
}

// emailKeyNull is EmailKey for an address that may be absent.
func emailKeyNull(address *string) *string {
	if address == nil {
		return nil
	}
	key := EmailKey(*address)
	return &key
}
