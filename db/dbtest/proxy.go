package dbtest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy passes on the connections between a server and PostgreSQL, and disturbs them as
// networks do: the connections of the feed and all others independently.
type Proxy struct {
	listener net.Listener
	target   string
	// Asked counts the messages that the feed has sent to PostgreSQL.
	Asked atomic.Int64
	// Trips counts the round trips of all other connections: how often something was sent
	// to PostgreSQL after it had answered.
	Trips atomic.Int64

	mu    sync.Mutex
	links map[*link]bool
	// feed is the weather of the feed's connections, and rest of all others.
	feed, rest Weather
}

// Weather is how a connection is disturbed. The zero value does not disturb it.
type Weather struct {
	Down    bool          // connections are closed, and none can be made
	Stalled bool          // nothing gets through
	Delay   time.Duration // delays everything that PostgreSQL sends
}

// link is one connection.
type link struct {
	client, server net.Conn
	isFeed         bool
	// answered is true if PostgreSQL was the last one to send something.
	answered atomic.Bool
}

// NewProxy returns a proxy, and the connection string that leads through it.
func NewProxy(t testing.TB, dsn string) (*Proxy, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "roster-proxy-")
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	p := &Proxy{target: filepath.Join(query.Get("host"), ".s.PGSQL.5432"), links: map[*link]bool{}}
	if p.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	var work sync.WaitGroup
	work.Go(func() { p.serve(&work) })
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.Set(Weather{Down: true}, Weather{Down: true})
		work.Wait()
		_ = os.RemoveAll(dir)
	})
	return p, u.String()
}

// Set changes the weather of the feed's connections, and of all others.
func (p *Proxy) Set(feed, rest Weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.feed, p.rest = feed, rest
	for l := range p.links {
		if p.weather(l).Down {
			l.close()
		}
	}
}

// weather returns the weather of the link. The caller holds the lock.
func (p *Proxy) weather(l *link) Weather {
	if l.isFeed {
		return p.feed
	}
	return p.rest
}

func (p *Proxy) now(l *link) Weather {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.weather(l)
}

func (p *Proxy) serve(work *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		work.Go(func() { p.connect(client) })
	}
}

// connect passes a connection on until it ends. It closes it at once if the weather is
// down.
func (p *Proxy) connect(client net.Conn) {
	l := &link{client: client}
	defer l.close()
	first, err := startup(client)
	if err != nil {
		return
	}
	l.isFeed = bytes.Contains(first, []byte("application_name\x00roster feed\x00"))
	if p.now(l).Down {
		return
	}
	if l.server, err = net.Dial("unix", p.target); err != nil {
		return
	}
	if _, err := l.server.Write(first); err != nil {
		return
	}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(l, l.server, l.client, false) })
	both.Go(func() { p.pass(l, l.client, l.server, true) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// startup reads the first message, which has the name of the application.
func startup(client net.Conn) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(client, head); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint32(head))
	copy(message, head)
	_, err := io.ReadFull(client, message[4:])
	return message, err
}

// pass passes on what it reads, as the weather permits. back is true on the way to the
// client.
func (p *Proxy) pass(l *link, to, from net.Conn, back bool) {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		for {
			now := p.now(l)
			if back {
				time.Sleep(now.Delay)
			}
			if now.Down {
				return
			}
			if !now.Stalled {
				break
			}
			time.Sleep(time.Millisecond)
		}
		p.count(l, back)
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// count counts something that is sent over the link.
func (p *Proxy) count(l *link, back bool) {
	answered := l.answered.Swap(back)
	switch {
	case back:
	case l.isFeed:
		p.Asked.Add(1)
	case answered:
		p.Trips.Add(1)
	}
}

func (l *link) close() {
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
}
