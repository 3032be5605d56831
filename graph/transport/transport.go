// Package transport answers GraphQL over HTTP. It knows how requests are sent,
// bounded, paid for and answered, and nothing of what they ask for: that is the
// schema's, which package graph makes.
//
//	http.Request ─▶ header ─▶ who asks ─▶ budget ─▶ body ─▶ document ─▶ cost ─▶ queue ─▶ schema
//	             accept.go  authenticate.go cost.go params.go trusted.go  cost.go  queue/  execute/
//	             header.go                          json.go   admission/
//	http.Response ◀─ answer.go, errors.go ◀───────────────────────────────────────────────┘
//
// Each step is cheaper than the one after it, and each may refuse the request.
// Begin with Handler.ServeHTTP and request.serve.
package transport

import (
	"cmp"
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"

	"roster/access"
	"roster/directory"
	"roster/graph/admission"
	"roster/graph/budget"
	"roster/graph/execute"
	"roster/problem"
	"roster/queue"
	"roster/secret"
	"roster/signin/browser"
	"roster/telemetry"
	"roster/transfer"
)

// Options are what a handler needs to know.
type Options struct {
	// Schema answers operations. The handler takes it over: it sets how errors are
	// presented, and runs each mutation document in a transaction.
	Schema    *execute.Schema
	Directory *directory.Directory
	Log       *slog.Logger
	// Authenticate returns the actor of a credential, in the organization of that code or
	// id. Nil means directory.Directory.Authenticate, which takes no access tokens.
	Authenticate func(ctx context.Context, shown secret.Text, organization string) (*access.Actor, error)
	// Transfer keeps the files of requests; nil takes none.
	Transfer *transfer.Service
	// Cookies are how browsers hold sessions; nil means over http.
	Cookies *browser.Cookies
	// Metrics measure operations; nil measures nothing.
	Metrics *telemetry.Metrics
	// Introspection lets clients ask for the schema, and lets errors suggest names
	// from it. It is meant for development.
	Introspection bool
	// Limits bound documents; nil means the defaults.
	Limits *admission.Limits
	// CostPerSecond is what an API key may spend in the long run, in the unit of
	// admission.Document.Cost; 0 means DefaultCostPerSecond.
	CostPerSecond int
	// Trusted are documents that clients may name by an id. Clients of the classes
	// in TrustedOnly are refused every other document.
	Trusted     TrustedDocuments
	TrustedOnly Clients
	// Timeout is how long an operation may take; 0 means DefaultTimeout.
	Timeout time.Duration
	// Queries, Mutations and Large bound how much runs at a time; zero values mean
	// the defaults. Large is for long bodies, long documents and costly queries.
	Queries, Mutations, Large queue.Limits
}

// Handler answers GraphQL over HTTP (GraphQL over HTTP, draft of August 2026) on
// behalf of the actor that the request's credential belongs to.
type Handler struct {
	options   Options
	directory *directory.Directory
	executor  *executor.Executor
	schema    *ast.Schema
	sdl       sdl
	gate      *admission.Gate
	documents documents
	errors    errorPresenter

	budgets *budget.Budgets
	costs   budget.Rate
	// denialLines bounds what denials leave in the log.
	denialLines *budget.Budgets
	queues      queues
	// large counts large requests.
	large atomic.Uint64
	// bodies is the memory, in bytes, that the bodies of all requests may take.
	bodies *queue.Room
	// uploads are the files that are coming.
	uploads *queue.Queue
	// sameKey makes requests with the same idempotency key wait for one another
	// before each of them holds a connection.
	sameKey queue.Turns[[sha256.Size]byte]
}

// NewHandler returns a handler for o.Schema.
func NewHandler(o Options) *Handler {
	h := &Handler{
		options: o, directory: o.Directory, errors: errorPresenter{o.Log, o.Directory.Away}, documents: newDocuments(o), schema: o.Schema.Schema(), sdl: newSDL(o.Schema.Schema()),
		budgets: budget.New(nil), costs: keyRate(o.CostPerSecond), queues: newQueues(o), bodies: queue.NewRoom(maxBodies), uploads: queue.New(uploadLimits),
	}
	h.denialLines = budget.New(nil)
	if o.Authenticate == nil {
		h.options.Authenticate = o.Directory.Authenticate
	}
	if o.Cookies == nil {
		h.options.Cookies = browser.NewCookies(false)
	}
	h.options.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Schema.Present = h.errors.present
	o.Schema.Mutation, o.Schema.Ahead = h.runMutation, h.lockAhead
	o.Schema.Further = h.further()
	o.Schema.RolledBack = errRolledBack
	h.gate = admission.New(admission.Options{Schema: h.schema, Limits: o.Limits, Open: o.Introspection})
	o.Schema.MaxBytes = h.gate.MaxCost() * bytesPerCost
	o.Schema.TooLong = problem.New(problem.Limited, "The answer has more than %d bytes. Ask for less, or for shorter lists.", o.Schema.MaxBytes)
	h.executor = executor.New(o.Schema)
	h.executor.SetRecoverFunc(h.errors.recoverPanic)
	return h
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, incoming *http.Request) {
	r := request{handler: h, ctx: graphql.StartOperationTrace(incoming.Context()), http: incoming, writer: w, releaseBody: func() {}}
	defer func() { r.releaseBody() }()
	response, err := r.serve()
	switch {
	case err != nil:
		r.refuse(err)
	case r.repeatable != nil && r.repeatable.answer != nil:
		r.repeat(r.repeatable.answer)
	default:
		r.answer(response)
	}
}

// Execute runs one document on behalf of the actor of ctx, as a request would, and
// returns its errors. Nobody is charged. The demo business is made by it.
func (h *Handler) Execute(ctx context.Context, text string) error {
	ctx = graphql.StartOperationTrace(ctx)
	document, err := h.gate.Admit(text)
	if err != nil {
		return err
	}
	operation, err := h.operation(ctx, document, &graphql.RawParams{Query: text})
	if err != nil {
		return err
	}
	response, err := h.run(ctx, operation)
	if err != nil {
		return err
	}
	if len(response.Errors) > 0 {
		return response.Errors
	}
	return nil
}
