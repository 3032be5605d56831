package browser_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"roster/signin/browser"
)

func TestBehindProxies(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::1/128")}
	for name, c := range map[string]struct {
		trusted []netip.Prefix
		peer    string
		header  []string
		want    string
	}{
		"nobody is trusted":            {nil, "10.0.0.1:1234", []string{"203.0.113.9"}, "10.0.0.1"},
		"not from a proxy":             {trusted, "198.51.100.7:1234", []string{"203.0.113.9"}, "198.51.100.7"},
		"from a proxy":                 {trusted, "10.0.0.1:1234", []string{"203.0.113.9"}, "203.0.113.9"},
		"from a proxy of version 6":    {trusted, "[fd00::1]:1234", []string{"2001:db8::9"}, "2001:db8::9"},
		"a mapped proxy":               {trusted, "[::ffff:10.0.0.1]:1234", []string{"203.0.113.9"}, "203.0.113.9"},
		"without the header":           {trusted, "10.0.0.1:1234", nil, "10.0.0.1"},
		"the client's own word":        {trusted, "10.0.0.1:1234", []string{"192.0.2.1, 10.9.9.9, 203.0.113.9"}, "203.0.113.9"},
		"a client that names a proxy":  {trusted, "10.0.0.1:1234", []string{"10.9.9.9"}, "10.9.9.9"},
		"two proxies":                  {trusted, "10.0.0.1:1234", []string{"192.0.2.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"two headers":                  {trusted, "10.0.0.1:1234", []string{"192.0.2.1,203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		"with a port":                  {trusted, "10.0.0.1:1234", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		"version 6 with a port":        {trusted, "10.0.0.1:1234", []string{"[2001:db8::9]:4711"}, "2001:db8::9"},
		"what is no address":           {trusted, "10.0.0.1:1234", []string{"203.0.113.9, unknown"}, "10.0.0.1"},
		"behind what is no address":    {trusted, "10.0.0.1:1234", []string{"203.0.113.9, , 10.0.0.2"}, "10.0.0.2"},
		"a zone is no other client":    {trusted, "10.0.0.1:1234", []string{"fe80::1%eth0"}, "fe80::1"},
		"a header of nothing but this": {trusted, "10.0.0.1:1234", []string{","}, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = c.peer, c.header
			browser.BehindProxies(c.trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got := browser.Visit(r, false).Address; got != c.want {
					t.Errorf("the client is %s, want %s", got, c.want)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
		})
	}
}
