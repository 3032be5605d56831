package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/graph"
	"roster/graph/transport"
	"roster/secret"
	"roster/telemetry"
)

// child is one of the two servers, inside of its process.
type child struct {
	options
	dsn        string
	statements statementCount
}

// starter returns the handler of a server, and a function that stops it.
type starter func(context.Context) (handler http.Handler, stop func(), err error)

// run serves until its standard input ends, which the benchmark keeps open. It prints
// its address.
func (c *child) run(ctx context.Context) error {
	if c.serve == "roster" && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(c.gcPercent)
	}
	start := map[string]starter{"roster": c.roster, "plain": c.plain}[c.serve]
	if start == nil {
		return fmt.Errorf("there is no server %q", c.serve)
	}
	handler, stop, err := start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("GET /stats", c.stats)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stopProfile, err := c.profile()
	if err != nil {
		return err
	}
	defer stopProfile()
	fmt.Println(listener.Addr())
	// The same limits as in server.go at the root.
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// profile begins a CPU profile if the flags ask for one.
func (c *child) profile() (stop func(), err error) {
	if c.cpuProfile == "" {
		return func() {}, nil
	}
	file, err := os.Create(c.cpuProfile)
	if err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = file.Close() }, pprof.StartCPUProfile(file)
}

// roster returns the handler that server.go at the root composes.
func (c *child) roster(ctx context.Context) (http.Handler, func(), error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	metrics := telemetry.NewMetrics()
	database, err := db.Open(ctx, secret.New(c.dsn), db.Options{Tracer: multitracer.New(metrics.Tracer(), &c.statements)})
	if err != nil {
		return nil, nil, err
	}
	for name, stat := range database.Pools() {
		metrics.WatchPool(name, stat)
	}
	d := directory.New(database, access.Options{Log: log, Entries: c.entries})
	if err := d.Follow(ctx); err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/graphql", transport.NewHandler(transport.Options{Schema: graph.NewSchema(d, nil, nil),
		Directory: d, Log: log, Metrics: metrics,
		CostPerSecond: 1e12, // all requests come from one client
	}))
	return metrics.Middleware(log, mux), func() { d.Close(); _ = database.Close() }, nil
}

// statementCount counts statements, including begin and commit, which also take a
// round trip.
type statementCount struct{ atomic.Int64 }

// TraceQueryStart counts a statement.
func (s *statementCount) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.Add(1)
	return ctx
}

// TraceQueryEnd does nothing.
func (*statementCount) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// stats holds what a server has used since it began.
type stats struct {
	Statements, Allocations, Bytes int64
	CPU                            time.Duration
}

func (c *child) stats(w http.ResponseWriter, _ *http.Request) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	_ = json.NewEncoder(w).Encode(stats{
		Statements: c.statements.Load(), Allocations: int64(memory.Mallocs), Bytes: int64(memory.TotalAlloc),
		CPU: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
	})
}
