// Package graphtest runs the whole server without its socket, for tests of the
// graph, of its transport, and of anything else that is seen best from outside:
//
//	b := graphtest.NewDemo(t)
//	a := b.Ask(t, `{ viewer { permissions } }`)
//	a.List("viewer.permissions")
//
// Each server has a database of its own (package dbtest).
package graphtest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/access"
	"roster/credential"
	"roster/db"
	"roster/db/dbtest"
	"roster/demo"
	"roster/directory"
	"roster/graph"
	"roster/graph/transport"
	"roster/oauth"
	"roster/signin"
	"roster/signin/pages"
	"roster/transfer"
)

// Server is the whole server without its socket, over a database of its own.
type Server struct {
	Database  *db.DB
	Directory *directory.Directory
	Handler   *transport.Handler
	SignIn    *signin.Service
	Transfer  *transfer.Service
	// Pages are those on which people sign in.
	Pages *pages.Pages
	// Provider is the door for applications, and Downloads the one where exports are fetched.
	Provider  *oauth.Handler
	Downloads http.Handler
	// Mail has what was mailed, and Clock tells when something of signing in ends.
	Mail  *Mailbox
	Clock *Clock
	// Issuer is the public address.
	Issuer string
	// Key is the administrator's API key.
	Key string
	// Source is the address and port of the clients; empty means one for all of them.
	Source string
}

// administrator is the administrator's API key of all businesses.
var administrator = credential.New()

var (
	// empty is a business in which nothing is yet, and demonstration one with the demo
	// data.
	empty         = dbtest.NewFilled(setUp)
	demonstration = filled(fill)
)

// Prepared returns a business that documents make once, and that is copied for each test; see
// NewFrom.
func Prepared(documents ...string) *dbtest.Filled {
	return filled(func(ctx context.Context, _ *directory.Directory, handler *transport.Handler) error {
		ctx = access.WithActor(ctx, access.System("test"))
		for _, document := range documents {
			if err := handler.Execute(ctx, document); err != nil {
				return err
			}
		}
		return nil
	})
}

func filled(fill func(context.Context, *directory.Directory, *transport.Handler) error) *dbtest.Filled {
	return dbtest.NewFilled(func(ctx context.Context, database *db.DB) error {
		if err := setUp(ctx, database); err != nil {
			return err
		}
		log := slog.New(slog.DiscardHandler)
		d := directory.New(database, access.Options{Log: log})
		defer d.Close()
		return fill(ctx, d, transport.NewHandler(transport.Options{Schema: graph.NewSchema(d, nil, nil), Directory: d, Log: log}))
	})
}

func setUp(ctx context.Context, database *db.DB) error {
	log := slog.New(slog.DiscardHandler)
	d := directory.New(database, access.Options{Log: log})
	defer d.Close()
	if err := d.Setup(ctx); err != nil {
		return err
	}
	_, err := openTokens(ctx, database, Issuer, time.Now, log)
	return errors.Join(err, d.EnsureAdministratorKey(ctx, administrator))
}

func fill(ctx context.Context, d *directory.Directory, handler *transport.Handler) error {
	_, err := d.FillEmpty(access.WithActor(ctx, access.System("demo")), func(ctx context.Context) error {
		return demo.Fill(ctx, handler.Execute)
	})
	return err
}

// New returns a server over an empty business.
func New(t testing.TB, tracers ...pgx.QueryTracer) *Server {
	t.Helper()
	return NewFrom(t, empty, tracers...)
}

// NewFrom returns a server over a copy of a business.
func NewFrom(t testing.TB, business *dbtest.Filled, tracers ...pgx.QueryTracer) *Server {
	t.Helper()
	return serve(t, dbtest.Open(t, business.DSN(t), tracers...))
}

// NewDemo returns a server over the demo business.
func NewDemo(t testing.TB) *Server {
	t.Helper()
	return serve(t, dbtest.Open(t, DemoDSN(t)))
}

// DemoDSN returns the connection string of a database with the demo business, which is
// dropped after the test.
func DemoDSN(t testing.TB) string {
	t.Helper()
	return demonstration.DSN(t)
}

// Over returns a server over a database that is migrated: one of a business, or an empty
// one, in which it sets up an empty business.
func Over(t testing.TB, database *db.DB) *Server {
	t.Helper()
	Must(t, setUp(t.Context(), database))
	return serve(t, database)
}

// serve returns a server over a database that is set up.
func serve(t testing.TB, database *db.DB) *Server {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	b := &Server{Database: database, Directory: directory.New(database, access.Options{Log: log}), Key: administrator.Reveal(), Issuer: Issuer, Clock: &Clock{}}
	t.Cleanup(b.Directory.Close)
	Must(t, b.Directory.Follow(t.Context()))
	b.startSignIn(t, log)
	b = b.WithOptions(t, transport.Options{Introspection: true})
	b.openDoors(t, log)
	return b
}

// WithDemo fills the business with the demo data, and returns b. It takes twenty
// times as long as NewDemo.
func (b *Server) WithDemo(t testing.TB) *Server {
	t.Helper()
	Must(t, fill(t.Context(), b.Directory, b.Handler))
	return b
}

// Holding makes an API key with those permissions, in an organization unless its
// code is empty, and returns its secret.
func (b *Server) Holding(t testing.TB, org string, permissions ...string) string {
	t.Helper()
	input := Object{"name": "test", "permissions": Refs("key", permissions...)}
	if org != "" {
		input["organization"] = Object{"code": org}
	}
	return b.Ask(t, `mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }`, Object{"input": input}).Text("createApiKey.secret")
}

// StandingFor makes an API key with those permissions that stands for a user, in an
// organization unless its code is empty, and returns its secret.
func (b *Server) StandingFor(t testing.TB, email, org string, permissions ...string) string {
	t.Helper()
	input := Object{"name": "test", "permissions": Refs("key", permissions...), "user": Object{"email": email}}
	if org != "" {
		input["organization"] = Object{"code": org}
	}
	return b.Ask(t, `mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }`, Object{"input": input}).Text("createApiKey.secret")
}

// WithOptions returns the same business under another handler.
func (b *Server) WithOptions(t testing.TB, o transport.Options) *Server {
	t.Helper()
	other := *b
	o.Schema, o.Directory, o.Log = graph.NewSchema(b.Directory, b.SignIn, b.Transfer), b.Directory, slog.New(slog.NewTextHandler(t.Output(), nil))
	o.Authenticate, o.Transfer = b.SignIn.Authenticate, b.Transfer
	other.Handler = transport.NewHandler(o)
	return &other
}

// Restarted returns the same business on a server that has just started.
func (b *Server) Restarted(t testing.TB) *Server {
	t.Helper()
	other := *b
	log := slog.New(slog.DiscardHandler)
	other.Directory = directory.New(b.Database, access.Options{Log: log})
	t.Cleanup(other.Directory.Close)
	Must(t, other.Directory.Follow(t.Context()))
	other.startSignIn(t, log)
	return other.WithOptions(t, transport.Options{})
}

// From returns the same server for clients from another address, such as 198.51.100.7.
func (b *Server) From(address string) *Server {
	other := *b
	other.Source = net.JoinHostPort(address, "1")
	return &other
}

// SmallBusiness is a document that makes two organizations, a role with a
// permission, a user who holds it, an API key that holds nothing, an identity provider for
// the addresses of a domain, and an application that acts for itself.
const SmallBusiness = `mutation {
	p: createPermission(input: {key: "invoices:read"}) { permission { id } }
	r: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
	a: createOrganization(input: {code: "acme", name: "Acme"}) { organization { id } }
	g: createOrganization(input: {code: "globex", name: "Globex"}) { organization { id } }
	u: createUser(input: {email: "ada@example.com", organizations: [{code: "acme"}, {code: "default"}], roles: [{key: "clerk"}]}) { user { id } }
	k: createApiKey(input: {name: "other", permissions: []}) { apiKey { id } }
	i: createIdentityProvider(input: {key: "globex", kind: MICROSOFT, tenant: "72f988bf-86f1-41af-91ab-2d7cd011db47", clientId: "roster", clientSecret: "of Globex", domains: ["globex.example"]}) { provider { id } }
	m: createApplication(input: {name: "machine", kind: MACHINE, permissions: [{key: "invoices:read"}]}) { application { id } }
}`

// TwoCustomers is a document that makes two organizations, and roles and permissions
// for what may be done there.
const TwoCustomers = `mutation {
	read: createPermission(input: {key: "invoices:read"}) { permission { id } }
	write: createPermission(input: {key: "invoices:write"}) { permission { id } }
	send: createPermission(input: {key: "invoices:send"}) { permission { id } }
	clerk: createRole(input: {key: "clerk", permissions: [{key: "invoices:read"}]}) { role { id } }
	writer: createRole(input: {key: "writer", permissions: [{key: "invoices:read"}, {key: "invoices:write"}]}) { role { id } }
	guest: createRole(input: {key: "guest", isDefault: true}) { role { id } }
	a: createOrganization(input: {code: "acme", name: "Acme"}) { organization { id } }
	g: createOrganization(input: {code: "globex", name: "Globex", defaultRoles: [{key: "clerk"}]}) { organization { id } }
}`
