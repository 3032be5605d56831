package transport

import (
	"context"
	"errors"
	"strings"

	"roster/access"
	"roster/graph/budget"
	"roster/problem"
	"roster/secret"
)

// authenticate sets the context of the request, on which everything runs on behalf
// of the credential's actor, and its meter. Without a credential there is no actor.
func (r *request) authenticate() error {
	h, authorization := r.handler, r.http.Header.Get("Authorization")
	if authorization == "" {
		r.meter = h.meterOfAddress(r.http.RemoteAddr)
		return nil
	}
	scheme, key, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return errNoKey
	}
	credential := secret.New(strings.TrimSpace(key))
	if err := r.limitUnknownKeys(credential); err != nil {
		return err
	}
	actor, err := h.actorOf(r.ctx, credential)
	if err != nil {
		return err
	}
	r.ctx, r.credential, r.meter = access.WithActor(r.ctx, actor), credential, h.meterOfKey(actor)
	return nil
}

var errNoKey = problem.New(problem.Unauthenticated, "Send an API key as \"Authorization: Bearer rk_…\".")

// authenticateAgain looks up the actor of the credential again after a wait: what
// was known of it before may be older than the revision that the client asks for.
func (r *request) authenticateAgain() error {
	if r.credential.Empty() {
		return nil
	}
	actor, err := r.handler.actorOf(r.ctx, r.credential)
	if err != nil {
		return err
	}
	r.ctx = access.WithActor(r.ctx, actor)
	return nil
}

// unknownKeyRate bounds how many keys an address may try that this server has not
// seen work lately: each costs a look-up. It is plenty for all clients behind one
// address after a restart, and little for a client that makes keys up.
var unknownKeyRate = budget.Rate{PerSecond: 50, Burst: 1000}

// limitUnknownKeys refuses a key that may be made up when too many such keys came
// from its address. Keys that work do not count.
func (r *request) limitUnknownKeys(credential secret.Text) error {
	if r.handler.directory.Recognises(credential) {
		return nil
	}
	account, ok := r.handler.budgets.Charge(addressOf(r.http.RemoteAddr, principalUnknownKey), unknownKeyRate, 1)
	if ok {
		return nil
	}
	return &refusal{
		status: statusTooMany, retryAfter: account.Wait,
		cause: problem.New(problem.Limited, "Too many unknown API keys came from this address. Try again later."),
	}
}

// actorOf returns the actor that a credential belongs to. If the database is needed
// for that and is too busy, it returns a refusal.
func (h *Handler) actorOf(ctx context.Context, credential secret.Text) (*access.Actor, error) {
	if err := h.queues.credentials.Enter(ctx); err != nil {
		return nil, refuseBusy(err)
	}
	defer h.queues.credentials.Leave()
	actor, err := h.directory.Authenticate(ctx, credential)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, refuseBusy(err)
	}
	return actor, err
}
