package directory

import (
	"net/url"
	"slices"
	"strings"

	"roster/db"
	"roster/egress"
	"roster/problem"
)

// maxAudience is the longest name of a backend, in bytes.
const maxAudience = 200

// redirectURLs checks addresses that browsers are sent to from applications of the kind.
func (f *faults) redirectURLs(field string, kind db.ApplicationKind, values []string) []string {
	f.size(field, len(values), 0)
	if kind == db.MachineApplication && len(values) > 0 {
		f.Add(problem.Invalid, field, "A MACHINE signs nobody in.")
	}
	all := []string{}
	for i, value := range values {
		if i == maxList {
			break
		}
		if why := notForRedirects(kind, value); why != "" {
			f.Add(problem.Invalid, element(field, i, len(values)), "%s", why)
		}
		if !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	return all
}

// notForRedirects returns why browsers must not be sent to the address from an application
// of the kind; empty if they may (RFC 9700, 4.1; RFC 8252, 7).
func notForRedirects(kind db.ApplicationKind, address string) string {
	if len(address) > maxURL || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '*' }) {
		return "An address has at most 2048 characters of ASCII, without spaces and wildcards."
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || strings.ContainsFunc(u.Host, isNoHost) || u.Scheme == "" || u.Fragment != "" || strings.HasSuffix(address, "#") || u.User != nil:
		return "Not an address such as https://app.example.com/callback, without a part after #."
	case u.Scheme == "https" && u.Host != "", u.Scheme == "http" && egress.IsLoopback(u.Hostname()):
		return ""
	case u.Scheme == "http" || u.Scheme == "https":
		return "Addresses begin with https://, but for those of this machine, such as http://localhost:3000/callback."
	case kind == db.NativeApplication && strings.Contains(u.Scheme, "."):
		return ""
	case kind == db.NativeApplication:
		return "A scheme of one's own is a domain of one's own, backwards, such as com.example.app:/callback."
	}
	return "Addresses begin with https://; only NATIVE applications have others."
}

// isNoHost reports whether no host and port have the character. A Content-Security-Policy
// names them.
func isNoHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._:[]", r)
}

// RedirectsTo reports whether browsers may be sent from the application to the address, one
// of those that it has: the very text of it. A NATIVE application chooses the port of an
// address of its machine when it runs (RFC 8252, 7.3).
func RedirectsTo(app *db.Application, address string) bool {
	return isAmong(app.Kind, app.RedirectURLs, address)
}

// LogsOutTo is RedirectsTo for the addresses after logging out.
func LogsOutTo(app *db.Application, address string) bool {
	return isAmong(app.Kind, app.LogoutURLs, address)
}

func isAmong(kind db.ApplicationKind, all []string, address string) bool {
	if slices.Contains(all, address) {
		return true
	}
	if kind != db.NativeApplication || notForRedirects(kind, address) != "" {
		return false
	}
	return slices.ContainsFunc(all, func(one string) bool {
		withPort, without := withoutPort(address), withoutPort(one)
		return withPort != "" && withPort == without
	})
}

// withoutPort returns an address of the machine without its port; empty for other ones.
func withoutPort(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || !egress.IsLoopback(u.Hostname()) {
		return ""
	}
	rest, _ := strings.CutPrefix(address, "http://"+u.Host)
	return u.Hostname() + rest
}

// audiences checks the names of backends that tokens may be for.
func (f *faults) audiences(field string, values []string) []string {
	f.size(field, len(values), 0)
	all := []string{}
	for i, value := range values {
		if i == maxList {
			break
		}
		if value == "" || len(value) > maxAudience || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			f.Add(problem.Invalid, element(field, i, len(values)), "The name of a backend has 1 to %d characters of ASCII, without spaces, such as https://api.example.com.", maxAudience)
		}
		if !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	return all
}
