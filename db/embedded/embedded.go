// Package embedded runs a private PostgreSQL as a child process, so that Roster
// starts without a DATABASE_URL and without anything to set up.
//
// Start does everything: it finds or downloads the binaries, makes a cluster (a data
// folder of PostgreSQL) if there is none, starts the child and keeps it running
// until Stop. Begin to read there. The data folder contains
//
//	lock            locked while a Roster runs on the folder
//	postgres        the cluster, with the unix socket that is the only way in
//	postgres.init   an unfinished cluster, renamed to postgres when it is complete
//
// The life of the child:
//
//	Start ──▶ starting ──ready──▶ serving ──Stop──▶ stopped
//	             ▲                   │
//	             └── back-off ◀─dies─┘
//
// If Roster itself dies, even by kill -9, the kernel tells PostgreSQL to stop
// (Linux), or the next Start does (other systems).
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Options are the options of Start.
type Options struct {
	// Dir is the data folder. Start makes it if it is missing.
	Dir string
	// Binaries is a folder of PostgreSQL binaries, or "download" for the pinned
	// ones. If it is empty, Start looks for installed ones before it downloads.
	Binaries string
	// Log also receives the log of PostgreSQL; nil means slog.Default().
	Log *slog.Logger
	// Settings are additional settings of PostgreSQL, such as fsync=off in tests.
	Settings map[string]string
}

// Server is a running PostgreSQL. If it dies before Stop, it is started again.
type Server struct {
	cluster *cluster
	release func() error // unlocks the folder

	pid    atomic.Int64
	cancel context.CancelFunc
	done   chan struct{} // closed when stopped; err is set then
	err    error
}

// Start makes a cluster if there is none, starts PostgreSQL and returns when it
// accepts connections. The context bounds the start, not the life of the server.
//
// Start waits shortly for another Roster on the folder that is just ending, and
// fails if it goes on. It also fails if it finds no fitting binaries, and if the
// folder contains something that it does not understand, which it leaves untouched.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("embedded PostgreSQL: %w", err)
	}
	return s, nil
}

func start(ctx context.Context, o Options) (*Server, error) {
	began := time.Now()
	if o.Dir == "" {
		return nil, errors.New("no data folder is given")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockFolder(ctx, dir)
	if err != nil {
		return nil, err
	}
	host, unlink, err := socketFolder(filepath.Join(dir, "postgres"))
	if err != nil {
		return nil, errors.Join(err, unlockFolder(lock))
	}
	s := &Server{done: make(chan struct{})}
	s.release = func() error { unlink(); return unlockFolder(lock) }
	if err := s.open(ctx, o, dir, host); err != nil {
		return nil, errors.Join(err, s.release())
	}
	c := s.cluster
	c.log.InfoContext(ctx, "PostgreSQL started", "version", c.bin.version, "binaries", c.bin.dir,
		"data", c.path, "took", time.Since(began).Round(time.Millisecond))
	return s, nil
}

// open opens the cluster, starts PostgreSQL on it and leaves it to the supervisor.
func (s *Server) open(ctx context.Context, o Options, dir, host string) error {
	c, err := openCluster(ctx, o, filepath.Join(dir, "postgres"))
	if err != nil {
		return err
	}
	c.host = host
	p, err := c.run(ctx)
	if err != nil {
		return err
	}
	s.cluster = c
	s.pid.Store(int64(p.pid()))
	life, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go s.supervise(life, p)
	return nil
}

// DSN returns a connection string for the named database, as the superuser. It stays
// the same when PostgreSQL is restarted. Accounts that may enter the cluster's
// folder may connect: the account that runs PostgreSQL, and root.
func (s *Server) DSN(database string) string { return s.cluster.dsn(database) }

// Pid returns the process id of PostgreSQL. It changes when PostgreSQL has died and
// is started again.
func (s *Server) Pid() int { return int(s.pid.Load()) }

// Stop disconnects every client, shuts PostgreSQL down, waits for its end and unlocks
// the data folder. Further calls return the same error and do nothing.
func (s *Server) Stop() error {
	s.cancel()
	<-s.done
	return s.err
}

func (c *cluster) dsn(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database}
	u.RawQuery = url.Values{"host": {c.host}, "port": {"5432"}, "sslmode": {"disable"}}.Encode()
	return u.String()
}
