package graph

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"roster/changes"
	"roster/db"
	"roster/directory"
	"roster/graph/admission"
	"roster/graph/budget"
	"roster/graph/execute"
	"roster/graph/generated"
	"roster/graph/queue"
	"roster/loaders"
	"roster/problem"
	"roster/secret"
	"roster/telemetry"
)

// Options are what a handler needs to know.
type Options struct {
	Directory *directory.Directory
	Log       *slog.Logger
	// Metrics measure operations; nil measures nothing.
	Metrics *telemetry.Metrics
	// Introspection lets clients ask for the schema, and errors suggest what it
	// has. It is meant for development.
	Introspection bool
	// Limits of documents; the defaults if nil.
	Limits *admission.Limits
	// CostPerSecond is what an API key may spend in the long run, in the unit of
	// admission.Document.Cost; DefaultCostPerSecond if 0.
	CostPerSecond int
	// Trusted are documents that clients may name by an id; TrustedOnly are those
	// whose other documents are refused.
	Trusted     TrustedDocuments
	TrustedOnly Clients
	// Timeout is how long an operation may take; DefaultTimeout if 0.
	Timeout time.Duration
	// Queries, Mutations and Large bound how much runs at a time; the defaults if
	// zero. Large is for long bodies, long documents and queries of a high cost.
	Queries, Mutations, Large queue.Limits
}

// DefaultTimeout is how long an operation may take. It is that of statements
// (db.Open), and less than the server allows for writing the answer.
const DefaultTimeout = 30 * time.Second

// How many operations run at a time. Queries are answered from memory for the
// most part, and otherwise share the connections of the database, which are
// fewer; mutations hold one each. Who waits for longer than two seconds behind
// so many others is better off trying again.
var (
	defaultQueries   = queue.Limits{Running: 256, Waiting: 4096, WaitTimeout: 2 * time.Second}
	defaultMutations = queue.Limits{Running: 64, Waiting: 1024, WaitTimeout: 2 * time.Second}
	// Credentials are known for the most part, and else share those connections.
	defaultKeys = queue.Limits{Running: 256, Waiting: 4096, WaitTimeout: 2 * time.Second}
	// New documents take processors only.
	defaultDocuments = queue.Limits{Running: runtime.GOMAXPROCS(0), Waiting: 1024, WaitTimeout: 2 * time.Second}
	// What is large takes processors for long: it leaves most of them to the rest.
	defaultLarge = queue.Limits{Running: max(1, runtime.GOMAXPROCS(0)/4), Waiting: 1024, WaitTimeout: 2 * time.Second}
)

// What is large takes some milliseconds of a processor: a body or a new document of
// so many bytes, and a query of that cost. A request of 1,000 checks is not.
const (
	largeBody     = 256 << 10
	largeDocument = 8 << 10
	largeCost     = 25_000
)

// bytesPerCost is how many bytes of a request cost 1, the unit of memory of
// admission.Document.Cost, where that is more than what is asked for: bodies may
// be long for nothing.
const bytesPerCost = 64

// maxBodies is how much memory the bodies of all requests take at most, in
// bytes. What is read of them takes some times as much.
const maxBodies = 64 << 20

// Handler answers GraphQL over HTTP (GraphQL over HTTP, draft of August 2026),
// on behalf of whom the request's API key belongs to.
type Handler struct {
	options   Options
	directory *directory.Directory
	executor  *executor.Executor
	schema    *ast.Schema
	gate      *admission.Gate
	known     documents
	errors    errorPresenter

	budgets                                    *budget.Budgets
	costs                                      budget.Rate
	keys, documents, large, queries, mutations *queue.Queue
	bodies                                     *queue.Room
	// retries keeps requests that may be retries of each other from waiting for
	// one another with a connection each.
	retries queue.Turns[[sha256.Size]byte]
}

// NewHandler makes the handler.
func NewHandler(o Options) *Handler {
	h := &Handler{
		options: o, directory: o.Directory, errors: errorPresenter{o.Log, o.Directory.Away}, known: newDocuments(o),
		budgets: budget.New(nil), costs: keyRate(o.CostPerSecond), bodies: queue.NewRoom(maxBodies),
		keys: queue.New(defaultKeys), documents: queue.New(defaultDocuments), large: queue.New(orDefault(o.Large, defaultLarge)),
		queries: queue.New(orDefault(o.Queries, defaultQueries)), mutations: queue.New(orDefault(o.Mutations, defaultMutations)),
	}
	h.options.Timeout = orDefault(o.Timeout, DefaultTimeout)
	schema := generated.NewSchema(generated.Config{
		Schema:    contract(),
		Resolvers: &resolver{o.Directory, loaders.Loaders{Directory: o.Directory}},
	})
	schema.Present = h.errors.present
	schema.Mutation = h.mutation
	schema.RolledBack = errRolledBack
	h.schema = schema.Schema()
	h.gate = admission.New(admission.Options{Schema: h.schema, Limits: o.Limits, Open: o.Introspection})
	h.executor = executor.New(schema)
	h.executor.SetRecoverFunc(h.errors.recoverPanic)
	return h
}

func orDefault[T comparable](given, otherwise T) T {
	var zero T
	if given == zero {
		return otherwise
	}
	return given
}

// mutation makes one transaction of a mutation document; with @dryRun, one that
// is undone.
func (h *Handler) mutation(ctx context.Context, run execute.Run) error {
	if retry := retryOf(ctx); retry != nil {
		return retry.run(ctx, h.directory, run)
	}
	plainly := func(ctx context.Context) error { _, err := run(ctx); return err }
	if isDryRun(graphql.GetOperationContext(ctx).Operation) {
		return h.directory.Writer.DryRun(ctx, plainly)
	}
	return h.directory.Writer.Atomically(ctx, plainly)
}

func isDryRun(operation *ast.OperationDefinition) bool {
	return operation.Directives.ForName("dryRun") != nil
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange{handler: h, ctx: graphql.StartOperationTrace(r.Context()), request: r, writer: w}
	defer func() { h.bodies.Give(x.room) }()
	response, err := x.serve()
	switch {
	case err != nil:
		x.refuse(err)
	case x.retry != nil && x.retry.answer != nil:
		x.repeat(x.retry.answer)
	default:
		x.answer(response)
	}
}

// exchange is one request on its way to its answer.
type exchange struct {
	handler *Handler
	ctx     context.Context
	request *http.Request
	writer  http.ResponseWriter
	media   mediaType
	meter   meter
	room    int64 // in bodies
	size    int   // of what was read: a body or an address
	large   bool  // what was read has a place in the queue of large requests
	// credential is the secret by which the client has authenticated.
	credential secret.Text
	// retry is nil unless the request may be one.
	retry *retry
}

// serve does what a request asks for. What is cheap to find out comes first.
func (x *exchange) serve() (*graphql.Response, error) {
	h := x.handler
	if err := x.checkHeader(); err != nil {
		return nil, err
	}
	if err := x.authenticate(); err != nil {
		return nil, err
	}
	if err := x.meter.check(); err != nil {
		return nil, err
	}
	operation, queue, err := x.readOperation()
	if err != nil {
		x.chargeRefused(err)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(x.ctx, h.options.Timeout)
	defer cancel()
	if x.retry, err = x.readRetry(operation); err != nil {
		return nil, err
	}
	if x.retry == nil {
		return h.queued(ctx, queue, operation)
	}
	return x.retry.serve(ctx, h, func(ctx context.Context) (*graphql.Response, error) { return h.queued(ctx, queue, operation) })
}

// queued carries an operation out when it is its turn.
func (h *Handler) queued(ctx context.Context, queue *queue.Queue, operation *graphql.OperationContext) (*graphql.Response, error) {
	if err := queue.Enter(ctx); err != nil {
		return nil, busy(err)
	}
	defer queue.Leave()
	return h.run(ctx, operation)
}

// readOperation reads what a request asks for, and judges it.
func (x *exchange) readOperation() (*graphql.OperationContext, *queue.Queue, error) {
	h := x.handler
	// The revision that the client has seen last, on whichever server.
	if atLeast := x.request.Header.Get("Roster-At-Least"); atLeast != "" {
		if err := h.directory.Await(x.ctx, atLeast); err != nil {
			return nil, nil, notReached(err)
		}
		if err := x.authenticateAnew(); err != nil {
			return nil, nil, err
		}
	}
	text, err := x.readText()
	if err != nil {
		return nil, nil, err
	}
	if x.large = len(text) > largeBody; x.large {
		if err := h.large.Enter(x.ctx); err != nil {
			return nil, nil, busy(err)
		}
		defer h.large.Leave()
	}
	params, err := x.readParams(text)
	if err != nil {
		return nil, nil, err
	}
	return x.prepare(params)
}

// chargeRefused charges for a request that is not carried out by its size, since
// reading it took time; not for one that the server had no room for. Who has too
// little for an operation waits for that longer, too.
func (x *exchange) chargeRefused(err error) {
	r, ok := errors.AsType[*refusal](err)
	if ok && r.status == http.StatusServiceUnavailable {
		return
	}
	before := x.meter.account.ResetAt
	x.meter.take(x.size)
	if ok && r.status == statusTooMany {
		r.retryAfter += x.meter.account.ResetAt.Sub(before)
	}
}

// notReached refuses a request that wants to see more than there is to see.
func notReached(err error) error {
	if problem.Is(err, problem.Stale) {
		return &refusal{status: http.StatusServiceUnavailable, cause: err, retryAfter: time.Second}
	}
	return err
}

// prepare makes an operation of what was asked for, charges what it costs, and
// says in which queue it belongs.
func (x *exchange) prepare(params *graphql.RawParams) (*graphql.OperationContext, *queue.Queue, error) {
	h := x.handler
	document, err := x.admit(params.Query)
	if err != nil {
		return nil, nil, err
	}
	operation, err := h.operation(x.ctx, document, params)
	if err != nil {
		return nil, nil, err
	}
	cost, queue := max(document.Cost(operation.Operation, operation.Variables), x.size/bytesPerCost), h.queries
	switch {
	case operation.Operation.Operation == ast.Query:
		if cost > largeCost {
			queue = h.large
		}
	case x.request.Method != http.MethodPost:
		return nil, nil, notAllowed("POST", "Only queries are answered to GET. Send mutations by POST.")
	default:
		queue = h.mutations
	}
	return operation, queue, x.meter.charge(cost, h.gate.MaxCost())
}

// admit judges a document, unless it is known.
func (x *exchange) admit(text string) (*admission.Document, error) {
	h := x.handler
	if known, ok := h.gate.Known(text); ok {
		return known, nil
	}
	queue := h.documents
	if len(text) > largeDocument && !x.large {
		queue = h.large
	}
	if err := queue.Enter(x.ctx); err != nil {
		return nil, busy(err)
	}
	defer queue.Leave()
	return h.gate.Admit(text)
}

// operation picks the operation of a document and reads its variables.
func (h *Handler) operation(ctx context.Context, document *admission.Document, params *graphql.RawParams) (*graphql.OperationContext, error) {
	operation := document.Operation(params.OperationName)
	if operation == nil {
		return nil, errNoOperation
	}
	variables, errs := coerced(h.schema, operation, params.Variables)
	if len(errs) > 0 {
		return nil, errs
	}
	return &graphql.OperationContext{
		RawQuery: params.Query, OperationName: params.OperationName, Variables: variables, Extensions: params.Extensions,
		Headers: params.Headers, Doc: document.AST, Operation: operation,
		DisableIntrospection: !h.options.Introspection, RecoverFunc: h.errors.recoverPanic,
		ResolverMiddleware:     func(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) },
		RootResolverMiddleware: func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) },
		Stats:                  graphql.Stats{OperationStart: graphql.GetStartTime(ctx)},
	}, nil
}

// Execute runs one document on behalf of the actor of ctx, as a request would,
// and gives its errors. It is how the demo business comes about. It is charged
// to nobody.
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

// run carries an operation out, measures it, and notes how far into history the
// response has seen.
func (h *Handler) run(ctx context.Context, operation *graphql.OperationContext) (*graphql.Response, error) {
	var committed db.Revision
	if operation.Operation.Operation == ast.Mutation {
		ctx = changes.WithCommitted(ctx, &committed)
	} else {
		ctx = loaders.WithMemory(ctx)
	}
	// Before anything is read: what is read later is no older.
	position := h.directory.Position()
	ctx, measured := h.options.Metrics.Operation(ctx, string(operation.Operation.Operation), operation.OperationName)
	next, ctx := h.executor.DispatchOperation(ctx, operation)
	response := next(ctx)
	if response == nil { // the time was over before it began
		measured.End(string(problem.Unavailable))
		return nil, busy(context.Cause(ctx))
	}
	measured.End(codesOf(response.Errors)...)
	response.Extensions = map[string]any{"revision": position.With(committed).String()}
	return response, nil
}

// busy refuses what there is no room or no time for.
func busy(err error) error {
	if errors.Is(err, context.Canceled) { // nobody reads the answer
		return &refusal{status: http.StatusServiceUnavailable, cause: errTooBusy}
	}
	return &refusal{status: http.StatusServiceUnavailable, cause: errTooBusy, retryAfter: time.Second}
}

var (
	errTooBusy     = problem.New(problem.Unavailable, "The server has too much to do at the moment. Try again in a second.")
	errNoOperation = gqlerror.List{{Message: "The document has no operation of the name in operationName; where there are several, one has to be named."}}
)

func stack() string { return string(debug.Stack()) }
