// Package embedded runs a private PostgreSQL as a child process, for those who
// start Roster without a DATABASE_URL.
//
// The data folder holds
//
//	lock            held while a Roster runs on the folder
//	postgres        the cluster, and in it the unix socket, the only way in
//	postgres.init   a cluster being made; renamed to postgres when whole
//
// Life of the child:
//
//	Start ──▶ starting ──ready──▶ serving ──Stop──▶ stopped
//	             ▲                   │
//	             └── back-off ◀─dies─┘
//
// Where Roster itself dies, even by kill -9, the kernel asks PostgreSQL to stop
// (Linux), or the next Start does (elsewhere).
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

// Options says where the database lives and with which binaries it runs.
type Options struct {
	// Dir is the data folder, made if it is missing; the cluster lies in Dir/postgres.
	Dir string
	// Binaries is a folder of PostgreSQL binaries, or "download" for the pinned
	// ones; when empty, installed ones are looked for before downloading.
	Binaries string
	// Log takes PostgreSQL's own log too; nil is slog.Default().
	Log *slog.Logger
	// Settings are PostgreSQL settings on top of ours, such as fsync=off in tests.
	Settings map[string]string
}

// Server is a running PostgreSQL. It is kept running until Stop.
type Server struct {
	cluster *cluster
	release func() error // unlocks the folder

	pid    atomic.Int64
	cancel context.CancelFunc
	done   chan struct{} // closed when stopped; err is set then
	err    error
}

// Start makes the cluster if there is none, starts PostgreSQL and returns when
// it accepts connections. The context bounds the start only.
//
// It fails when another Roster runs on the folder, when no fitting binaries can
// be had, and when the folder holds something that it does not understand,
// which is left untouched.
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

// open readies the cluster, runs PostgreSQL on it and leaves it to the supervisor.
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

// DSN is a connection string for the named database, as the superuser. It stays
// the same when PostgreSQL is restarted. Every account that may enter the
// cluster's folder may connect: the one that runs PostgreSQL, and root.
func (s *Server) DSN(database string) string { return s.cluster.dsn(database) }

// Pid is the process id of the PostgreSQL that runs now; it changes when a dead
// one is replaced.
func (s *Server) Pid() int { return int(s.pid.Load()) }

// Stop disconnects every client, shuts PostgreSQL down, waits for its end and
// gives the data folder free. Calling it again does nothing more.
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
