// Package egress is the way out: an HTTP client for addresses that others have chosen,
// such as those of identity providers. Whoever may enter an address could otherwise make
// the server ask what only it can reach (server-side request forgery, CWE-918).
package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// What an answer may cost at most: its body after decompression, its headers, and the
// time from the request to the last byte of the body.
const (
	MaxBody   = 1 << 20
	maxHeader = 64 << 10
	timeout   = 10 * time.Second
)

// The errors of requests; errors.Is finds them in what the client returns.
var (
	// ErrForbidden reports an address that the client does not ask.
	ErrForbidden = errors.New("not a public https address")
	// ErrRedirect reports an answer that leads elsewhere.
	ErrRedirect = errors.New("redirects are not followed")
	// ErrTooLarge reports a body of more than MaxBody bytes.
	ErrTooLarge = errors.New("the answer is too large")
)

// NewClient returns a client that asks public addresses by https only. It looks at each
// address that it connects to after the name was resolved, so that a name cannot lead it
// astray, not even one whose answer changes. It follows no redirects, uses no proxy of
// the environment, keeps no cookies, and bounds the time and the size of answers. In
// development it also asks servers on the same machine, by http or https.
func NewClient(development bool) *http.Client {
	https := isPublic
	if development {
		https = func(address netip.Addr) bool { return isPublic(address) || address.IsLoopback() }
	}
	doors := gate{"https": newTransport(https)}
	if development {
		doors["http"] = newTransport(netip.Addr.IsLoopback)
	}
	return &http.Client{
		Transport:     doors,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return ErrRedirect },
	}
}

// newTransport returns a transport that connects to allowed addresses only.
func newTransport(allowed func(netip.Addr) bool) *http.Transport {
	dialer := &net.Dialer{
		Timeout: timeout / 2,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			resolved, err := netip.ParseAddrPort(address)
			if err != nil || !allowed(resolved.Addr().Unmap()) {
				return ErrForbidden
			}
			return nil
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    timeout / 2,
		MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:        16,
		MaxIdleConns:           64,
		IdleConnTimeout:        time.Minute,
	}
}

// gate has the transport of each scheme that may be asked.
type gate map[string]*http.Transport

// RoundTrip implements http.RoundTripper.
func (g gate) RoundTrip(request *http.Request) (*http.Response, error) {
	transport := g[request.URL.Scheme]
	if transport == nil || request.URL.User != nil {
		if request.Body != nil {
			request.Body.Close()
		}
		return nil, fmt.Errorf("%s: %w", request.URL.Redacted(), ErrForbidden)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = &cappedBody{body: response.Body, left: MaxBody}
	return response, nil
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (g gate) CloseIdleConnections() {
	for _, transport := range g {
		transport.CloseIdleConnections()
	}
}

// cappedBody is the body of an answer up to a number of bytes, and an error after them.
type cappedBody struct {
	body io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *cappedBody) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if n > b.left {
		return b.left, ErrTooLarge
	}
	b.left -= n
	return n, err
}

// Close implements io.Closer.
func (b *cappedBody) Close() error { return b.body.Close() }
