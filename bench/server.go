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
	"roster/secret"
	"roster/telemetry"
)

// child is one of the two servers, in a process of its own.
type child struct {
	options
	dsn        string
	statements statementCount
}

// starter makes the handler of a server, and what ends it.
type starter func(context.Context) (handler http.Handler, stop func(), err error)

// run serves. It prints its address, and ends with its standard input, which the
// benchmark holds open.
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
	// As the server's, see server.go at the root.
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

// profile begins a CPU profile, if one is asked for.
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

// roster is the handler that server.go at the root puts together.
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
	mux.Handle("/graphql", graph.NewHandler(graph.Options{
		Directory: d, Log: log, Metrics: metrics,
		CostPerSecond: 1e12, // all requests are of one client
	}))
	return metrics.Middleware(log, mux), func() { d.Close(); _ = database.Close() }, nil
}

// statementCount counts statements; begin and commit are some too, for they
// cost a round trip.
type statementCount struct{ atomic.Int64 }

// TraceQueryStart counts one.
func (s *statementCount) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.Add(1)
	return ctx
}

// TraceQueryEnd does nothing.
func (*statementCount) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// stats are what a server has used since it began.
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
