package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// load is the result of one turn.
type load struct {
	requests, bytes int64
	took            time.Duration
}

// perSecond returns the number of requests per second.
func (l load) perSecond() float64 { return float64(l.requests) / l.took.Seconds() }

// generate sends requests to a server for the given duration. Each connection sends
// a random one of them as soon as its last one has been answered. generate reads HTTP
// by itself to use little time, because it shares its cores with the server.
func generate(ctx context.Context, addr string, requests [][]byte, connections int, duration time.Duration) (load, error) {
	var all load
	began := time.Now()
	var turns errgroup.Group
	for range connections {
		turns.Go(func() error {
			c, err := dial(ctx, addr)
			if err != nil {
				return err
			}
			defer c.Close()
			for time.Since(began) < duration && ctx.Err() == nil {
				size, err := c.ask(requests[rand.IntN(len(requests))])
				if err != nil {
					return err
				}
				atomic.AddInt64(&all.requests, 1)
				atomic.AddInt64(&all.bytes, int64(size))
			}
			return ctx.Err()
		})
	}
	err := turns.Wait()
	all.took = time.Since(began)
	return all, err
}

// client is one connection to a server.
type client struct {
	net.Conn
	in   *bufio.Reader
	body []byte
}

func dial(ctx context.Context, addr string) (*client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{Conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// ask sends a request and returns the size of the response body in bytes. It returns
// an error unless the status is 200 and the body has no errors.
func (c *client) ask(request []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := c.Write(request); err != nil {
		return 0, err
	}
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	good := bytes.HasPrefix(status, []byte("HTTP/1.1 200 "))
	if err := c.readBody(); err != nil {
		return 0, err
	}
	if !good || bytes.HasPrefix(c.body, []byte(`{"errors"`)) {
		return 0, fmt.Errorf("refused: %.500s", c.body)
	}
	return len(c.body), nil
}

var errHTTP = errors.New("unexpected form of HTTP response")

// readBody reads the headers and the body.
func (c *client) readBody() error {
	length := -1 // chunked
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return errHTTP
			}
		}
	}
	c.body = c.body[:0]
	if length >= 0 {
		return c.read(length)
	}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		length, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return errHTTP
		}
		if err := c.read(int(length)); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil || length == 0 { // the end of the line
			return err
		}
	}
}

// read appends the next bytes to the body.
func (c *client) read(length int) error {
	start := len(c.body)
	c.body = append(c.body, make([]byte, length)...)
	_, err := io.ReadFull(c.in, c.body[start:])
	return err
}
