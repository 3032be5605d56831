package egress

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for text, public := range map[string]bool{
		"8.8.8.8": true, "142.250.74.110": true, "2a00:1450:4001:82a::200e": true, "2606:4700::6810:84e5": true,
		"::ffff:8.8.8.8": true, "64:ff9b::8.8.8.8": true, "172.32.0.1": true, "100.128.0.1": true,

		"127.0.0.1": false, "127.8.9.10": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false, "192.0.0.192": false, "192.0.2.1": false,
		"198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false,
		"fe80::1": false, "fec0::1": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "64:ff9b::10.0.0.1": false, "64:ff9b::127.0.0.1": false,
		"64:ff9b:1::8.8.8.8": false, "2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "3fff::1": false, "100::1": false, "4000::1": false,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := isPublic(netip.MustParseAddr(text)); got != public {
				t.Errorf("public: %v", got)
			}
		})
	}
}

// Each way to name a machine that is not public is refused before anything is sent, whether
// the name is an address or is resolved to one.
func TestForbiddenAddresses(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 100)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Host })
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	port := func(s *httptest.Server) string { return s.URL[strings.LastIndex(s.URL, ":")+1:] }

	type row struct {
		development bool
		url         string
	}
	var rows []row
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0x7f000001", "roster.invalid"} {
		rows = append(rows, row{false, "http://" + host + ":" + port(plain)}, row{false, "https://" + host + ":" + port(secure)})
	}
	for _, host := range []string{"169.254.169.254", "10.0.0.1", "192.168.0.1", "[fd00:ec2::254]", "0.0.0.0", "[::ffff:10.0.0.1]"} {
		rows = append(rows, row{true, "http://" + host}, row{true, "https://" + host})
	}
	rows = append(rows,
		row{true, "http://93.184.216.34"}, // public, but in the clear
		row{false, "file:///etc/passwd"}, row{true, "file:///etc/passwd"}, row{true, "gopher://127.0.0.1:" + port(plain)},
		row{true, "http://user:password@127.0.0.1:" + port(plain)})
	for _, r := range rows {
		t.Run(r.url, func(t *testing.T) {
			t.Parallel()
			client := NewClient(r.development)
			t.Cleanup(client.CloseIdleConnections)
			response, err := client.Get(r.url)
			if err == nil {
				response.Body.Close()
				t.Fatal("was asked")
			}
			var unknown *net.DNSError // some resolvers do not take numbers as addresses
			if !errors.Is(err, ErrForbidden) && !errors.As(err, &unknown) {
				t.Errorf("another error: %v", err)
			}
			if strings.Contains(err.Error(), "password@") {
				t.Errorf("the error has the password: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		close(asked)
		for host := range asked {
			t.Errorf("%s was asked", host)
		}
	})
}

// The address is looked at when it is connected to, whatever a resolver said: this one
// answers with the machine itself for a public name.
func TestNamesThatLeadInside(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	transport := newTransport(isPublic)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, server.Listener.Addr().String())
	}
	client := &http.Client{Transport: gate{"https": transport}}
	if response, err := client.Get("https://accounts.example.com"); !errors.Is(err, ErrForbidden) {
		if err == nil {
			response.Body.Close()
		}
		t.Errorf("got %v", err)
	}
}

// In development, what answers on the same machine is asked, within the bounds.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/body", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", MaxBody)) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", MaxBody+1)) })
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, strings.Repeat("x", 4*MaxBody))
		z.Close()
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 2*maxHeader)) })
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/body", http.StatusFound) })
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	client := NewClient(true)
	t.Cleanup(client.CloseIdleConnections)
	client.Transport.(gate)["https"].TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()

	for _, server := range []*httptest.Server{plain, secure} {
		for path, want := range map[string]error{"/body": nil, "/large": ErrTooLarge, "/bomb": ErrTooLarge, "/redirect": ErrRedirect} {
			t.Run(server.URL[:5]+path, func(t *testing.T) {
				n, err := get(client, server.URL+path)
				if !errors.Is(err, want) {
					t.Errorf("error: %v", err)
				}
				if n > MaxBody || want == nil && n != MaxBody {
					t.Errorf("%d bytes", n)
				}
			})
		}
		t.Run(server.URL[:5]+"/header", func(t *testing.T) {
			if _, err := get(client, server.URL+"/header"); err == nil {
				t.Error("was read")
			}
		})
	}

	t.Run("of another's certificate", func(t *testing.T) {
		var certificate *tls.CertificateVerificationError
		if _, err := get(NewClient(true), secure.URL+"/body"); !errors.As(err, &certificate) {
			t.Errorf("got %v", err)
		}
	})
}

// A body that never ends is read no longer than the client's time. It is made short here.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "{")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	client := NewClient(true)
	client.Timeout /= 50
	var timedOut net.Error
	if _, err := get(client, server.URL); !errors.As(err, &timedOut) || !timedOut.Timeout() {
		t.Errorf("got %v", err)
	}
}

// A proxy of the environment would be asked in place of the address that was checked.
func TestNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	for scheme, transport := range NewClient(true).Transport.(gate) {
		request := &http.Request{URL: &url.URL{Scheme: scheme, Host: "accounts.example.com"}}
		if transport.Proxy != nil {
			proxy, err := transport.Proxy(request)
			t.Errorf("%s: %v, %v", scheme, proxy, err)
		}
	}
}

func get(client *http.Client, url string) (int, error) {
	response, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return len(body), err
}
