package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// listen listens on addr. If that is in use, the error says by whom, and how to
// choose another address.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && isRoster(ctx, browserAddr(addr, addr)):
		return nil, fmt.Errorf("%s: address already in use by a Roster that runs there; choose another one by ROSTER_ADDR (-addr), such as localhost:8081", addr)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: address already in use by another program; choose another one by ROSTER_ADDR (-addr), such as localhost:8081", addr)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return listener, nil
}

// isRoster reports whether a Roster answers at addr: each of its answers has a
// revision, also one that refuses a request.
func isRoster(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+apiPath, nil)
	if err != nil {
		return false
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	return err == nil && bytes.Contains(text, []byte(`"extensions":{"revision":`))
}

// browserAddr returns the address for a browser on this machine: the host that was
// configured, with the port that was picked.
func browserAddr(actual, configured string) string {
	host, _, _ := net.SplitHostPort(configured)
	_, port, _ := net.SplitHostPort(actual)
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
