package transport

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"roster/graph/admission"
	"roster/problem"
	"roster/queue"
	"roster/secret"
	"roster/signin"
	"roster/transfer"
)

// request is one request on its way to its answer.
type request struct {
	handler *Handler
	ctx     context.Context
	http    *http.Request
	writer  http.ResponseWriter
	media   mediaType
	meter   meter
	size    int  // bytes that were read: of a body or an address
	large   bool // the text that was read has a place in the queue of large requests
	// releaseBody releases the memory of a large body.
	releaseBody func()
	// credential is the secret that authenticated the client.
	credential secret.Text
	// visit is what comes of a mutation that signs somebody in or out; nil for a query.
	visit *signin.Visit
	// files are those that came with it.
	files []*transfer.Upload
	// repeatable is nil unless the client may send the request again.
	repeatable *repeatable
}

// serve carries out what the request asks for.
func (r *request) serve() (*graphql.Response, error) {
	h := r.handler
	if err := r.checkHeader(); err != nil {
		return nil, err
	}
	if err := r.authenticate(); err != nil {
		return nil, err
	}
	if err := r.meter.check(); err != nil {
		return nil, err
	}
	operation, queue, err := r.readOperation()
	defer r.dropFiles()
	if err != nil {
		r.chargeRefused(err)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.ctx, h.options.Timeout)
	defer cancel()
	if r.repeatable, err = r.readIdempotencyKey(operation); err != nil {
		return nil, err
	}
	if r.repeatable == nil {
		return r.runInTurn(ctx, queue, operation)
	}
	return r.repeatable.serve(ctx, h, func(ctx context.Context) (*graphql.Response, error) { return r.runInTurn(ctx, queue, operation) })
}

// readOperation reads what the request asks for, judges it, and returns it with
// the queue that it belongs in.
func (r *request) readOperation() (*graphql.OperationContext, *queue.Queue, error) {
	h := r.handler
	// The newest revision that the client has seen, on whichever server.
	if atLeast := r.http.Header.Get("Roster-At-Least"); atLeast != "" {
		if err := h.directory.Await(r.ctx, atLeast); err != nil {
			return nil, nil, refuseStale(err)
		}
	}
	if isMultipart(r.http) {
		return r.readMultipart()
	}
	text, err := r.readText()
	if err != nil {
		return nil, nil, err
	}
	if r.ctx, err = r.authenticateAgain(r.ctx); err != nil {
		return nil, nil, err
	}
	if r.large = len(text) > largeBody; r.large {
		h.large.Add(1)
		leave, err := h.queues.large.Enter(r.ctx)
		if err != nil {
			return nil, nil, refuseBusy(err)
		}
		defer leave()
	}
	params, err := r.readParams(text)
	if err != nil {
		return nil, nil, err
	}
	return r.prepare(params)
}

// chargeRefused charges for a request that is not carried out by its size, since
// reading it took time. A request that the server had no room for is free. A
// client whose budget is too small for the operation waits for this charge, too.
func (r *request) chargeRefused(err error) {
	refused, ok := errors.AsType[*refusal](err)
	if ok && refused.status == http.StatusServiceUnavailable {
		return
	}
	before := r.meter.account.ResetAt
	r.meter.take(r.size)
	if ok && refused.status == statusTooMany {
		refused.retryAfter += r.meter.account.ResetAt.Sub(before)
	}
}

// prepare makes an operation of params, charges its cost, and returns it with the
// queue that it belongs in.
func (r *request) prepare(params *graphql.RawParams) (*graphql.OperationContext, *queue.Queue, error) {
	h := r.handler
	document, err := r.admit(params.Query)
	if err != nil {
		return nil, nil, err
	}
	operation, err := h.operation(r.ctx, document, params)
	if err != nil {
		return nil, nil, err
	}
	if operation.Operation.Operation != ast.Query && r.http.Method != http.MethodPost {
		return nil, nil, refuseMethod("POST", "Only queries are answered to GET. Send mutations by POST.")
	}
	if err := r.checkCredential(operation); err != nil {
		return nil, nil, err
	}
	cost := max(document.Cost(operation.Operation, operation.Variables), r.size/bytesPerCost)
	if cost > largeCost {
		h.large.Add(1)
	}
	return operation, h.queues.of(admission.ClassOf(operation.Operation), cost), r.meter.charge(cost, h.gate.MaxCost())
}

// admit judges a document, unless it is known.
func (r *request) admit(text string) (*admission.Document, error) {
	h := r.handler
	if known, ok := h.gate.Known(text); ok {
		return known, nil
	}
	queue := h.queues.documents
	if len(text) > largeDocument && !r.large {
		h.large.Add(1)
		queue = h.queues.large
	}
	leave, err := queue.Enter(r.ctx)
	if err != nil {
		return nil, refuseBusy(err)
	}
	defer leave()
	return h.gate.Admit(text)
}

// refuseStale refuses a request that wants a revision this server has not
// reached.
func refuseStale(err error) error {
	if problem.Is(err, problem.Stale) {
		return &refusal{status: http.StatusServiceUnavailable, cause: err, retryAfter: time.Second}
	}
	return err
}

// refuseBusy refuses a request that there is no room or no time for.
func refuseBusy(err error) error {
	if errors.Is(err, context.Canceled) { // nobody reads the answer
		return &refusal{status: http.StatusServiceUnavailable, cause: errTooBusy}
	}
	return &refusal{status: http.StatusServiceUnavailable, cause: errTooBusy, retryAfter: time.Second}
}

var errTooBusy = problem.New(problem.Unavailable, "The server has too much to do at the moment. Try again in a second.")
