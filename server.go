// Command roster serves a GraphQL API for user management: a business's users,
// the organizations they belong to, and what they may do there.
//
// This file is where all parts meet: it starts the database, wires the parts
// together as the configuration (config.go) says, and serves until it is told to
// stop.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"roster/access"
	"roster/cli"
	"roster/credential"
	"roster/db"
	"roster/db/embedded"
	"roster/demo"
	"roster/directory"
	"roster/egress"
	"roster/graph/graphiql"
	"roster/graph/transport"
	"roster/idempotency"
	"roster/mail"
	"roster/oauth"
	"roster/problem"
	"roster/provider"
	"roster/secret"
	"roster/signin"
	"roster/signin/browser"
	"roster/signin/pages"
	"roster/telemetry"
	"roster/token"
	"roster/transfer"
	"roster/transfer/download"
)

// gcPercent lets the heap grow to five times what is in use before it is
// collected. Requests keep little memory and make much garbage: collecting less often
// raises the throughput of lists up to 1.3 times, and an idle server still needs less
// than 100 MB. GOGC takes precedence if it is set.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "roster:", inOneLine(err.Error()))
		os.Exit(cli.ExitCode(err))
	}
}

// inOneLine joins the lines of errors that are lists, such as of all addresses that
// were tried. Repetitions are left out, since pgx tries one address with TLS and
// without.
func inOneLine(text string) string {
	var line strings.Builder
	var before []string
	for part := range strings.Lines(text) {
		said := strings.TrimSpace(part)
		if slices.ContainsFunc(before, func(one string) bool { return strings.HasSuffix(one, said) }) {
			continue
		}
		switch {
		case strings.HasPrefix(part, "\t"), strings.HasSuffix(line.String(), "."):
			line.WriteString(" ")
		case len(before) > 0:
			line.WriteString("; ")
		}
		line.WriteString(said)
		before = append(before, said)
	}
	return line.String()
}

// run serves until ctx ends, and then stops what it has started.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) (err error) {
	if len(args) == 1 && strings.TrimLeft(args[0], "-") == "version" {
		return printVersion(stdout)
	}
	if len(args) > 0 && args[0] == "keys" {
		return runKeys(ctx, args[1:], getenv, stdout, stderr)
	}
	if len(args) > 0 && cli.IsCommand(args[0]) {
		return runClient(ctx, args, getenv, stdout, stderr)
	}
	c, err := readConfig(args, getenv, stdout)
	if err != nil {
		return err
	}
	s := &server{config: c, log: telemetry.NewLogger(stderr, telemetry.LogAuto, slog.LevelInfo), metrics: telemetry.NewMetrics(), out: stdout, watched: telemetry.IsTerminal(stderr)}
	for _, warning := range unknownVariables(os.Environ()) {
		s.log.WarnContext(ctx, warning)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil { // told to stop while starting
			return nil
		}
		return err
	}
	return s.serve(ctx)
}

// server is the running program.
type server struct {
	*config
	log     *slog.Logger
	metrics *telemetry.Metrics
	out     io.Writer
	db      *db.DB
	// keyring seals what the database holds and must be readable again.
	keyring   *secret.Keyring
	tokens    *token.Keys
	directory *directory.Directory
	http      *http.Server
	listener  net.Listener
	// sessions let the playground act as the administrator; nil without a playground
	// or without a key that is known here.
	sessions *graphiql.Sessions
	// outbox has the mails that are to be sent. mailbox shows them instead; nil unless this is
	// development without an SMTP server.
	outbox  *mail.Outbox
	mailbox http.Handler
	// signIn lets people in, and cookies are how browsers hold their sessions.
	signIn  *signin.Service
	cookies *browser.Cookies
	// transfer takes users out in files.
	transfer *transfer.Service
	// watched is true if the log goes to a terminal, where it may contain the
	// one-time token of the playground.
	watched bool
	// closers undo what start did, the last one first.
	closers []func() error
}

func (s *server) start(ctx context.Context) error {
	// The port first: without it, there is no need for a database.
	listener, err := listen(ctx, s.addr)
	if err != nil {
		return err
	}
	s.listener = listener
	s.onClose(func() error { return ignore(listener.Close(), net.ErrClosed) })
	stopTracing, err := s.metrics.StartTracing(ctx, s.log)
	if err != nil {
		return err
	}
	s.onClose(func() error { return stopTracing(context.WithoutCancel(ctx)) })
	if err := s.openDatabase(ctx); err != nil {
		return err
	}
	if err := s.openKeys(ctx); err != nil {
		return err
	}
	s.background(ctx, s.tokens.Run)
	s.directory = directory.New(s.db, access.Options{Entries: cmp.Or(s.cacheEntries, defaultCacheEntries()), Staleness: s.staleness, Log: s.log})
	s.onClose(func() error { s.directory.Close(); return nil })
	if err := s.directory.Setup(ctx); err != nil {
		return err
	}
	if err := s.directory.Follow(ctx); err != nil {
		return err
	}
	s.background(ctx, func(ctx context.Context) { idempotency.Sweep(ctx, s.db, s.log) })
	s.watchEngine()
	adminKey, err := s.setUpAdministrator(ctx)
	if err != nil {
		return err
	}
	if s.dev && !adminKey.Empty() {
		s.sessions = graphiql.NewSessions(adminKey)
	}
	if err := s.startMail(ctx, adminKey); err != nil {
		return err
	}
	if err := s.startSignIn(ctx); err != nil {
		return err
	}
	s.transfer = transfer.New(transfer.Options{Database: s.db, Directory: s.directory, PublicURL: s.publicAddress(), Keyring: s.keyring, MaxUpload: s.maxUpload, Log: s.log})
	s.background(ctx, s.transfer.Sweep)
	s.background(ctx, s.transfer.Work)
	api := s.newAPI()
	s.background(ctx, func(ctx context.Context) {
		shareCores(ctx, func() uint64 { return s.signIn.Passwords.Hashed() + api.Large() })
	})
	if err := s.fillWithDemo(ctx, api); err != nil {
		return err
	}
	if err := s.letDemoSignIn(ctx); err != nil {
		return err
	}
	signInPages, provider := s.newDoors(api)
	downloads, err := download.New(download.Options{Transfer: s.transfer, Log: s.log})
	if err != nil {
		return err
	}
	s.http = s.newHTTPServer(api, api.ServeSDL, signInPages, provider, downloads)
	return nil
}

// waitingPasswords is how many passwords wait for each core to be hashed, which takes some
// 50 ms.
const waitingPasswords = 50

// startSignIn lets people sign in.
func (s *server) startSignIn(ctx context.Context) error {
	cores := runtime.GOMAXPROCS(0)
	outside := egress.NewClient(s.dev)
	s.signIn = signin.New(signin.Options{
		Database: s.db, Directory: s.directory, Passwords: credential.NewPasswords(cores, waitingPasswords*cores), Outbox: s.outbox, Tokens: s.tokens, Keyring: s.keyring,
		Issuer: s.publicAddress(), Audiences: s.audiences, Log: s.log,
		Providers: provider.New(outside, time.Now), Development: s.dev, TrustedTokens: provider.NewAccessTokens(outside, time.Now, s.trustedIssuers...),
	})
	s.metrics.WatchCounter("roster_password_hashes_total", "Passwords that were hashed: new ones, and those that somebody signed in with.",
		func() float64 { return float64(s.signIn.Passwords.Hashed()) })
	if err := s.directory.ResealProviders(ctx); err != nil {
		return fmt.Errorf("secrets of identity providers: %w", err)
	}
	s.background(ctx, s.signIn.Sweep)
	s.cookies = browser.NewCookies(strings.HasPrefix(s.publicURL, "https:"))
	for _, origin := range s.origins() {
		if err := s.cookies.Trust(origin); err != nil {
			return err
		}
	}
	return nil
}

// publicAddress returns the address of this server as browsers know it, without a slash
// behind it.
func (s *server) publicAddress() string {
	if s.publicURL != "" {
		return strings.TrimSuffix(s.publicURL, "/")
	}
	return "http://" + browserAddr(s.listener.Addr().String(), s.addr)
}

// openDatabase starts the database if it is the server's own, connects to it, and
// migrates its schema.
func (s *server) openDatabase(ctx context.Context) error {
	dsn := s.databaseURL
	if s.embedded() {
		postgres, err := embedded.Start(ctx, embedded.Options{Dir: s.dataDir, Binaries: s.postgres, Log: s.log})
		if err != nil {
			return err
		}
		s.onClose(postgres.Stop)
		dsn = secret.New(postgres.DSN("postgres"))
	}
	database, err := db.Open(ctx, dsn, db.Options{Pooler: s.pooler, Tracer: s.metrics.Tracer()})
	if err != nil {
		return err
	}
	s.db = database
	s.onClose(database.Close)
	for name, stat := range database.Pools() {
		s.metrics.WatchPool(name, stat)
	}
	return s.migrate(ctx)
}

func (s *server) migrate(ctx context.Context) error {
	began := time.Now()
	applied, err := s.db.Migrate(ctx, s.log)
	if applied > 0 {
		s.log.InfoContext(ctx, "database migrated", "migrations", applied, "took", time.Since(began).Round(time.Millisecond))
	}
	return err
}

// setUpAdministrator makes an administrator's API key unless there is one. It returns
// the key if it is known here and works.
func (s *server) setUpAdministrator(ctx context.Context) (secret.Text, error) {
	key, source := s.adminKey, "ROSTER_ADMIN_KEY"
	if key.Empty() {
		source = adminKeyPath(s.dataDir)
		exists, err := s.directory.HasAdministratorKey(ctx)
		if err != nil {
			return secret.Text{}, err
		}
		// Other servers on a shared database rely on a key that is not known here;
		// a database of our own has no others.
		if key, err = keptAdminKey(s.dataDir, !exists || s.embedded(), s.out); err != nil || key.Empty() {
			return secret.Text{}, err
		}
	}
	err := s.directory.EnsureAdministratorKey(ctx, key)
	if problem.Is(err, problem.Conflict) {
		other, otherErr := s.directory.HasOtherAdministrator(ctx, key)
		if other {
			s.log.WarnContext(ctx, "the administrator's API key was revoked: others administer the business", "source", source)
			return secret.Text{}, nil
		}
		err = errors.Join(err, otherErr)
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("the administrator's API key of %s: %w", source, err)
	}
	return key, nil
}

// watchEngine adds figures of the engine to the metrics.
func (s *server) watchEngine() {
	for _, counter := range []struct {
		name, help string
		value      func(access.Stats) uint64
	}{
		{"roster_access_hits_total", "Members that were found in memory.", func(s access.Stats) uint64 { return s.Hits }},
		{"roster_access_misses_total", "Members that were read into memory.", func(s access.Stats) uint64 { return s.Misses }},
		{"roster_access_exact_total", "Members that the database worked out, since memory could not be trusted.", func(s access.Stats) uint64 { return s.Exact }},
		{"roster_access_stale_total", "Members for which memory was not used, since the feed of changes was further behind than the staleness bound.", func(s access.Stats) uint64 { return s.Stale }},
		{"roster_access_evictions_total", "Members and names that made room in memory for others.", func(s access.Stats) uint64 { return s.Evictions }},
		{"roster_access_epoch_total", "Invalidations.", func(s access.Stats) uint64 { return s.Epoch }},
	} {
		s.metrics.WatchCounter(counter.name, counter.help, func() float64 { return float64(counter.value(s.directory.Stats())) })
	}
	for _, gauge := range []struct {
		name, help string
		value      func(access.Stats) float64
	}{
		{"roster_access_entries", "Members in memory.", func(s access.Stats) float64 { return float64(s.Entries) }},
		{"roster_access_names", "Names of users and organizations in memory.", func(s access.Stats) float64 { return float64(s.Names) }},
		{"roster_access_entries_limit", "The number of members, and of names, that memory holds at most.", func(s access.Stats) float64 { return float64(s.Limit) }},
		{"roster_access_feed_lag_seconds", "Time since the feed of changes was confirmed.", func(s access.Stats) float64 { return s.Lag.Seconds() }},
		{"roster_access_roles", "Roles of the catalogue in memory.", func(s access.Stats) float64 { return float64(s.Roles) }},
		{"roster_access_permissions", "Permissions of the catalogue in memory.", func(s access.Stats) float64 { return float64(s.Permissions) }},
	} {
		s.metrics.WatchGauge(gauge.name, gauge.help, func() float64 { return gauge.value(s.directory.Stats()) })
	}
}

// fillWithDemo fills an empty database with the demo business.
func (s *server) fillWithDemo(ctx context.Context, api *transport.Handler) error {
	if !s.demo {
		return nil
	}
	began := time.Now()
	ctx = access.WithActor(ctx, access.System("demo"))
	filled, err := s.directory.FillEmpty(ctx, func(ctx context.Context) error { return demo.Fill(ctx, api.Execute) })
	if filled {
		debug.FreeOSMemory() // some 40 MB of garbage, which an idle server would hold for minutes
		s.log.InfoContext(ctx, "filled the empty database with the demo business", "took", time.Since(began).Round(time.Millisecond))
	}
	return err
}

// letDemoSignIn sets a password of some people of the demo business, in development. Nobody
// else knows it: it is made up, and kept in the data folder.
func (s *server) letDemoSignIn(ctx context.Context) error {
	if !s.demo || !s.dev || !s.embedded() {
		return nil
	}
	file := demoPasswordFile(s.dataDir)
	password, _, err := file.ensure(newDemoPassword)
	if err != nil {
		return fmt.Errorf("password of the demo business: %w", err)
	}
	if err := s.signIn.EnsurePassword(ctx, password, demo.People()...); err != nil {
		return err
	}
	shown := "in " + file.path
	if s.watched {
		shown = password.Reveal()
	}
	s.log.InfoContext(ctx, "people of the demo business can sign in", "emails", strings.Join(demo.People(), " "), "password", shown)
	return nil
}

// apiPath is the path of the GraphQL endpoint; a slash behind it does no harm.
const apiPath = "/graphql"

// newHTTPServer returns a server of the API at apiPath, of the schema as a file, of the
// pages where people sign in, of the door for applications, of the files of exports, and of
// everything around them.
func (s *server) newHTTPServer(api http.Handler, schema http.HandlerFunc, signInPages, provider, downloads http.Handler) *http.Server {
	mux := http.NewServeMux()
	if s.sessions != nil {
		api = s.sessions.Wrap(api)
	}
	api = s.withCORS(api)
	mux.Handle(apiPath, api)
	mux.Handle(apiPath+"/{$}", api)
	mux.Handle("GET /schema.graphql", s.withCORS(schema))
	if s.dev {
		playground := graphiql.Handler(graphiql.Options{Endpoint: apiPath, Sessions: s.sessions, Demo: s.demo})
		mux.Handle("GET /{$}", playground)
		mux.Handle("/graphiql/", playground)
	}
	mux.Handle(pages.Path, signInPages)
	mux.Handle(pages.Path+"/", signInPages)
	if s.mailbox != nil {
		mux.Handle(mail.MailboxPath, s.mailbox)
		mux.Handle(mail.MailboxPath+"/", s.mailbox)
	}
	mux.Handle(oauth.Path, provider)
	mux.Handle(oauth.WellKnownPath, provider)
	mux.Handle(transfer.ExportsPath, downloads)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.metrics.Handler())
	return &http.Server{
		Handler:           s.metrics.Middleware(s.log, s.withSecurityHeaders(withClearFraming(browser.BehindProxies(s.trustedProxies, mux)))),
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
}

// ready answers a request for whether this server hears from the database.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.directory.Ready(); err != nil {
		s.log.WarnContext(r.Context(), "not ready", "cause", err)
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// drainTime is how long running requests may take to finish when the server
// stops.
const drainTime = 10 * time.Second

// serve answers requests until ctx ends, and then lets running ones finish.
func (s *server) serve(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	link := s.localURL()
	if s.sessions != nil && s.watched {
		link = s.sessions.Link(link)
	}
	said := []any{"addr", s.listener.Addr().String(), "url", link}
	if possible, err := s.signIn.Possible(ctx); possible && err == nil {
		said = append(said, "signin", s.publicAddress()+pages.Path)
	}
	s.log.InfoContext(ctx, "listening", said...)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.log.InfoContext(ctx, "stopping")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := s.http.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %v: %w", drainTime, err), s.http.Close())
	}
	return nil
}

// localURL returns the address at which a browser on this machine finds the server.
func (s *server) localURL() string {
	return "http://" + browserAddr(s.listener.Addr().String(), s.addr)
}

// background runs work until the server closes.
func (s *server) background(ctx context.Context, work func(context.Context)) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { work(ctx) })
	s.onClose(func() error { stop(); running.Wait(); return nil })
}

func (s *server) onClose(undo func() error) { s.closers = append(s.closers, undo) }

func (s *server) close() error {
	var all error
	for i := range s.closers {
		all = errors.Join(all, s.closers[len(s.closers)-1-i]())
	}
	return all
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
